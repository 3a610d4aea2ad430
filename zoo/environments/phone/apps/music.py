"""The Music app: songs, playlists made of them, and a player."""

from random import Random
from typing import NamedTuple

from zoo.environments.phone import collection, preferences
from zoo.environments.phone.app import App, Want
from zoo.environments.phone.collection import Attribute, Collection, named, with_record
from zoo.environments.phone.preferences import Preference, Preferences
from zoo.environments.phone.screen import Element, Screen, button, dialog, note, row
from zoo.environments.phone.state import Data, Place, State
from zoo.environments.phone.values import ARTISTS
from zoo.environments.phone.values import SONGS as TITLES

__all__ = ["APP", "PAGE", "PLAYLISTS", "SONGS", "Playlist", "Song"]

PAGE = Preferences(
    "music/settings",
    "Music settings",
    (
        Preference("music.quality", "Quality", ("Low", "Normal", "High", "Lossless")),
        Preference("music.sleep", "Sleep timer", ("Off", "15 min", "30 min", "1 hour")),
        Preference("music.shuffle", "Shuffle"),
        Preference("music.repeat", "Repeat"),
        Preference("music.crossfade", "Crossfade"),
    ),
)


class Song(NamedTuple):
    """One song; titles are unique."""

    title: str
    artist: str
    length: str
    """M:SS."""
    liked: bool = False


class Playlist(NamedTuple):
    """Songs under a name, in the order in which they were added."""

    name: str
    songs: tuple[str, ...] = ()
    offline: bool = False


def _draw_song(rng: Random, title: str) -> Song:
    return Song(title, rng.choice(ARTISTS), f"{rng.randint(2, 5)}:{rng.randrange(60):02}", rng.random() < 0.3)


def _draw_playlist(rng: Random, name: str) -> Playlist:
    return Playlist(name, tuple(rng.sample(TITLES, rng.randint(1, 4))), rng.random() < 0.3)


def _song_buttons(data: Data, song: Song) -> tuple[Element, ...]:
    return (
        button("Play", "music.play", song.title),
        button("Add to playlist", "open", "music/add", song.title),
    )


def _playlist_songs(data: Data, playlist: Playlist) -> tuple[Element, ...]:
    return tuple(
        row(title, "open", "music/song", title, hold=("open", "music/remove", f"{playlist.name}|{title}"))
        for title in playlist.songs
    )


SONGS = Collection(
    "songs",
    "music/song",
    "song",
    Song,
    (
        Attribute("title", "Title", "fact"),
        Attribute("artist", "Artist", "fact"),
        Attribute("length", "Length", "fact"),
        Attribute("liked", "Liked", "switch"),
    ),
    _draw_song,
    way=lambda song: (("music", ""), ("music/songs", "")),
    line=lambda song: song.title,
    can_delete=False,
    buttons=_song_buttons,
)
PLAYLISTS = Collection(
    "playlists",
    "music/playlist",
    "playlist",
    Playlist,
    (Attribute("name", "Name"), Attribute("offline", "Offline", "switch")),
    _draw_playlist,
    way=lambda playlist: (("music", ""), ("music/playlists", "")),
    line=lambda playlist: f"{playlist.name}: {len(playlist.songs)} songs",
    add_way=(("music", ""), ("music/playlists", "")),
    more=_playlist_songs,
)


def _root(data: Data, place: Place) -> Screen:
    playing = data["music.playing"]
    now = (row(f"Now playing: {playing}", "open", "music/player"),) if playing else ()
    links = (row("Songs", "open", "music/songs"), row("Playlists", "open", "music/playlists"), preferences.entry(PAGE))
    return Screen("Music", (*now, *links))


def _songs(data: Data, place: Place) -> Screen:
    return Screen("Songs", rows=collection.rows(SONGS, data["songs"]))


def _playlists(data: Data, place: Place) -> Screen:
    return Screen(
        "Playlists",
        (collection.add_button(PLAYLISTS),),
        collection.rows(PLAYLISTS, data["playlists"]),
    )


def _add_dialog(data: Data, place: Place) -> Screen:
    lists = tuple(row(one.name, "music.add", place.subject, one.name) for one in data["playlists"])
    return Screen("Add to playlist", rows=lists, kind="dialog")


def _remove_dialog(data: Data, place: Place) -> Screen:
    playlist, title = place.subject.split("|")
    return dialog(f"Remove {title}?", "Remove", "music.remove", playlist, title)


def _player(data: Data, place: Place) -> Screen:
    song = named(data["songs"], data["music.playing"])
    if song is None:
        return Screen("Nothing playing")
    pause = button("Resume" if data["music.paused"] else "Pause", "toggle", "music.paused")
    return Screen("Now playing", (note(song.title), note(song.artist), pause, button("Stop", "music.stop")))


def _play(state: State, title: str) -> State:
    """The song plays, and the player opens."""
    playing = state.store(**{"music.playing": title, "music.paused": False})
    return playing.go(Place("music"), Place("music/player"))


def _stop(state: State) -> State:
    return state.store(**{"music.playing": "", "music.paused": False}).leave()


def _with_songs(state: State, name: str, songs: tuple[str, ...]) -> State:
    playlists = state.data["playlists"]
    return state.store(playlists=with_record(playlists, named(playlists, name)._replace(songs=songs)))


def _add(state: State, title: str, name: str) -> State:
    """A song that the list has already is not added twice."""
    songs = named(state.data["playlists"], name).songs
    return (state if title in songs else _with_songs(state, name, (*songs, title))).leave()


def _remove(state: State, name: str, title: str) -> State:
    songs = named(state.data["playlists"], name).songs
    return _with_songs(state, name, tuple(song for song in songs if song != title)).leave()


def _repair(data: Data, goal: Data) -> list[Want]:
    return [
        *collection.repair(SONGS, data, goal),
        *collection.repair(PLAYLISTS, data, goal),
        *_repair_songs(data["playlists"], goal["playlists"]),
        *_repair_player(data, goal),
        *preferences.repair(PAGE, data, goal),
    ]


def _repair_songs(have: tuple[Playlist, ...], need: tuple[Playlist, ...]) -> list[Want]:
    """What does not belong behind the songs that are right is removed, then what is missing is added in order."""
    wants = []
    for playlist in need:
        old = named(have, playlist.name)
        if old is not None and old.songs != playlist.songs:
            wants += _repair_playlist(old, playlist.songs)
    return wants


def _repair_playlist(old: Playlist, need: tuple[str, ...]) -> list[Want]:
    wrong = [title for title in old.songs if title not in need]
    kept = tuple(title for title in old.songs if title in need)
    shared = next((at for at, (a, b) in enumerate(zip(kept, need, strict=False)) if a != b), len(kept))
    place = (*PLAYLISTS.way(old), ("music/playlist", old.name))
    wants = [
        Want((*place, ("music/remove", f"{old.name}|{title}")), ("music.remove", old.name, title))
        for title in (*wrong, *kept[shared:])
    ]
    if not wants:
        title = need[len(kept)]
        wants = [Want((*SONGS.way(None), ("music/song", title), ("music/add", title)), ("music.add", title, old.name))]
    return wants


def _repair_player(data: Data, goal: Data) -> list[Want]:
    have, need = data["music.playing"], goal["music.playing"]
    player = (("music", ""), ("music/player", ""))
    if have != need:
        song = (*SONGS.way(None), ("music/song", need))
        return [Want(song, ("music.play", need)) if need else Want(player, ("music.stop",))]
    return [Want(player, ("toggle", "music.paused"))] if data["music.paused"] != goal["music.paused"] else []


APP = App(
    "Music",
    {
        "music": _root,
        "music/songs": _songs,
        "music/playlists": _playlists,
        "music/add": _add_dialog,
        "music/remove": _remove_dialog,
        "music/player": _player,
        **collection.screens(SONGS),
        **collection.screens(PLAYLISTS),
        **preferences.screens(PAGE),
    },
    {
        **collection.commands(SONGS),
        **collection.commands(PLAYLISTS),
        "music.play": _play,
        "music.stop": _stop,
        "music.add": _add,
        "music.remove": _remove,
    },
    _repair,
)
