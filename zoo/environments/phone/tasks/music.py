"""Tasks in Music: play, like, playlists, and facts about songs."""

from zoo.environments.phone.apps.music import PAGE, PLAYLISTS, SONGS
from zoo.environments.phone.collection import named, with_record
from zoo.environments.phone.state import Data
from zoo.environments.phone.tasks.records import gone, known, look_at, made, preference_templates, there, together
from zoo.environments.phone.tasks.template import Changes, Look, Template, Values, pool
from zoo.environments.phone.values import PLAYLISTS as NAMES
from zoo.environments.phone.values import SONGS as TITLES

__all__ = ["SONG", "TEMPLATES", "playing"]

SONG = pool("title", TITLES)
_LIST = pool("name", NAMES)


def playing(title: str, paused: bool = False) -> Changes:
    """The player with a song."""
    return {"music.playing": title, "music.paused": paused}


def _with(data: Data, values: Values) -> Changes:
    """The song at the end of the playlist."""
    old = known(PLAYLISTS, data, values["name"])
    songs = (*(song for song in old.songs if song != values["title"]), values["title"])
    return {"playlists": with_record(data["playlists"], old._replace(songs=songs))}


def _without(data: Data, values: Values) -> Changes:
    old = known(PLAYLISTS, data, values["name"])
    songs = tuple(song for song in old.songs if song != values["title"])
    return {"playlists": with_record(data["playlists"], old._replace(songs=songs))}


def _renamed(data: Data, values: Values) -> Changes:
    old = named(data["playlists"], values["name"])
    rest = gone(PLAYLISTS)(data, values)["playlists"]
    return {"playlists": with_record(rest, old._replace(name=values["new"]))}


def _look_at_player(data: Data, values: Values) -> Look:
    artist = named(data["songs"], values["title"]).artist
    return Look((("music", ""), ("music/player", "")), artist, artist)


TEMPLATES = (
    Template(
        "music.play",
        "operation",
        ("Play {title}.", "Play the song {title} in Music."),
        (SONG,),
        change=lambda data, values: playing(values["title"]),
    ),
    Template(
        "music.pause",
        "operation",
        ("Pause the music.", "Pause {title}, which is playing."),
        (SONG,),
        prepare=lambda data, values: playing(values["title"]),
        change=lambda data, values: playing(values["title"], paused=True),
    ),
    Template(
        "music.resume",
        "operation",
        ("Resume the music.", "Go on with {title}, which is paused."),
        (SONG,),
        prepare=lambda data, values: playing(values["title"], paused=True),
        change=lambda data, values: playing(values["title"]),
        held_out=True,
    ),
    Template(
        "music.stop",
        "operation",
        ("Stop the music.", "Stop playing {title}."),
        (SONG,),
        prepare=lambda data, values: playing(values["title"]),
        change=lambda data, values: playing(""),
    ),
    Template(
        "music.like",
        "operation",
        ("Like the song {title}.", "Mark {title} as liked."),
        (SONG,),
        prepare=there(SONGS, liked=False),
        change=there(SONGS, liked=True),
    ),
    Template(
        "music.unlike",
        "operation",
        ("I do not like the song {title} any more.", "Remove the like of {title}."),
        (SONG,),
        prepare=there(SONGS, liked=True),
        change=there(SONGS, liked=False),
    ),
    Template(
        "music.artist",
        "query",
        ("Who sings {title}?", "Which artist is {title} by?"),
        (SONG,),
        look=look_at(SONGS, "artist"),
    ),
    Template(
        "music.length",
        "query",
        ("How long is the song {title}?", "What is the length of {title}?"),
        (SONG,),
        look=look_at(SONGS, "length"),
    ),
    Template(
        "music.who_plays",
        "query",
        ("Which artist is playing now?", "Who sings the song that is playing?"),
        (SONG,),
        prepare=lambda data, values: playing(values["title"]),
        look=_look_at_player,
        held_out=True,
    ),
    Template(
        "music.new_playlist",
        "operation",
        ("Make a playlist called {name}.", "Create the playlist {name}."),
        (_LIST,),
        prepare=gone(PLAYLISTS),
        change=made(PLAYLISTS),
    ),
    Template(
        "music.delete_playlist",
        "operation",
        ("Delete the playlist {name}.", "Remove the playlist {name}."),
        (_LIST,),
        prepare=there(PLAYLISTS),
        change=gone(PLAYLISTS),
    ),
    Template(
        "music.rename_playlist",
        "operation",
        ("Rename the playlist {name} to {new}.", "Call the playlist {name} {new} instead."),
        (_LIST, pool("new", ("Evening", "Summer", "Garden", "Train", "Calm", "Old songs", "Holiday", "Study"))),
        prepare=there(PLAYLISTS),
        change=_renamed,
    ),
    Template(
        "music.offline",
        "operation",
        ("Make the playlist {name} available offline.", "Turn on Offline for the playlist {name}."),
        (_LIST,),
        prepare=there(PLAYLISTS, offline=False),
        change=there(PLAYLISTS, offline=True),
    ),
    Template(
        "music.add_song",
        "operation",
        ("Add {title} to the playlist {name}.", "Put the song {title} into the playlist {name}."),
        (SONG, _LIST),
        prepare=_without,
        change=_with,
    ),
    Template(
        "music.remove_song",
        "operation",
        ("Remove {title} from the playlist {name}.", "Take the song {title} out of the playlist {name}."),
        (SONG, _LIST),
        prepare=_with,
        change=_without,
        held_out=True,
    ),
    Template(
        "music.new_playlist_with",
        "operation",
        ("Make a playlist {name} with the song {title}.", "Create the playlist {name} and add {title} to it."),
        (SONG, _LIST),
        prepare=gone(PLAYLISTS),
        change=together(made(PLAYLISTS), _with),
    ),
    *preference_templates(PAGE, "Music"),
)
