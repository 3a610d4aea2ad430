"""The Space's entry: reads `space.json` beside it and serves the page.

Nothing is imported at the top: the processes that hold the models start from this file too, and need no page.
"""

if __name__ == "__main__":
    from pathlib import Path

    from page import serve

    serve(Path(__file__).parent)
