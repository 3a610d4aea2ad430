"""`recipes run`: which stages an option names."""

from click.testing import CliRunner

from zoo.cli.runs import run


def test_only_takes_several_stages_and_names_the_one_that_is_not_there() -> None:
    done = CliRunner().invoke(run, ["pocket-135m", "--tiny", "--only", "demos", "--only", "sfd"])
    assert done.exit_code == 2
    assert "there is no stage 'sfd'; did you mean 'sft'?" in done.output
