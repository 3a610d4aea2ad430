"""Who may answer on this page: a model of the shelf, an endpoint, or the scripted expert, all asked in one way."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from threading import Thread
from typing import TypeVar
from urllib.parse import urlsplit

from course import expert_course
from model_process import Said, never
from shelf import Loading, Shelf
from turns import Turns

from zoo.agent import Chat, Situation, chat_of
from zoo.answering.models import grammar_for, most_tokens
from zoo.errors import ModelError
from zoo.playground import Endpoint, ask_endpoint
from zoo.schema import AgentSpec
from zoo.space import SpaceSettings

__all__ = ["ENDPOINT", "EXPERT", "Answerers", "EndpointChoice"]

EXPERT = "The scripted expert (no model)"
ENDPOINT = "An OpenAI-compatible endpoint"
_LOG = logging.getLogger("space.endpoints")
_QUEUE_SECONDS = 0.5
_LONGEST = 200

T = TypeVar("T")


@dataclass(frozen=True)
class EndpointChoice:
    """What a visitor typed."""

    url: str = ""
    model: str = ""


@dataclass(frozen=True)
class Answerers:
    """Everybody who may answer."""

    settings: SpaceSettings
    spec: AgentSpec
    shelf: Shelf
    turns: Turns

    @property
    def names(self) -> list[str]:
        """What visitors choose from, models first."""
        endpoint = [ENDPOINT] if self.settings.local or self.settings.endpoint_hosts else []
        return [*self.shelf.models, EXPERT, *endpoint]

    @property
    def first(self) -> str:
        """What is chosen when the page opens."""
        recommended = (name for name, model in self.shelf.models.items() if model.recommended)
        return next(recommended, self.names[0])

    def ask(
        self,
        name: str,
        situation: Situation,
        endpoint: EndpointChoice,
        *,
        seconds: float,
        stopped: Callable[[], bool] = never,
    ) -> Iterator[Loading | Said]:
        """The next answer of an episode, after whatever has to be waited for. Ends without one when stopped before.

        Raises ModelError.
        """
        if name == EXPERT:
            yield self._expert(situation)
            return
        chat = chat_of(self.spec, situation)
        if name == ENDPOINT:
            yield from self._endpoint(chat, endpoint, seconds, stopped)
            return
        grammar = grammar_for(self.spec, chat) if self.spec.constrained else None
        yield from self.model(name, chat, most_tokens(self.spec), grammar, seconds=seconds, stopped=stopped)

    def model(
        self,
        name: str,
        chat: Chat,
        tokens: int,
        grammar: str | None = None,
        *,
        afresh: bool = False,
        seconds: float = 120.0,
        stopped: Callable[[], bool] = never,
    ) -> Iterator[Loading | Said]:
        """A model's answer to a chat, when it is this visitor's turn."""
        yield from self.shelf.fetch(name)
        ticket = self.turns.ticket()
        try:
            while ahead := self.turns.ahead(ticket, _QUEUE_SECONDS):
                if stopped():
                    return
                yield Loading(f"{ahead} before you in the queue")
            if not self.shelf.is_open(name):
                yield Loading(f"Loading {name}")
            with self.turns.taken(ticket):
                opened = self.shelf.opened(name)
                said = opened.answer(chat, tokens, grammar, afresh=afresh, seconds=seconds, stopped=stopped)
            yield said
        finally:
            self.turns.leave(ticket)

    def _expert(self, situation: Situation) -> Said:
        """Where the episode is on the expert's own way, its answer costs nothing; elsewhere it looks for a way."""
        way = expert_course(self.spec, situation.task)
        done = tuple(step.answer for step in situation.steps)
        on_way = way[: len(done)] == done and len(way) > len(done)
        answer = way[len(done)] if on_way else situation.environment.expert().answer(self.spec.style)
        return Said(answer, 0, 0, None, 0.0, 0.0, (), 0)

    def _endpoint(
        self, chat: Chat, choice: EndpointChoice, seconds: float, stopped: Callable[[], bool]
    ) -> Iterator[Loading | Said]:
        """Asked in a thread of its own: a server that is busy is asked again for many seconds, and a stop must not wait
        for it. What comes after a stop is thrown away."""
        url = self._allowed(choice.url)
        named = Endpoint(url, choice.model[:_LONGEST] or "default", parallel=1, answer_seconds=seconds)
        asked = _begun(lambda: ask_endpoint(self.spec, named)([chat])[0])
        while not asked.done():
            if stopped():
                return
            yield Loading("Asking the endpoint")
            wait([asked], _QUEUE_SECONDS)
        try:
            said = asked.result()
        except ModelError as error:
            _LOG.warning("%s", error)
            if self.settings.local:
                raise
            raise ModelError("the endpoint did not answer as OpenAI's chat completions do") from error
        yield Said(said.text, said.tokens, said.prompt_tokens, None, said.seconds, said.seconds, (), 0)

    def _allowed(self, url: str) -> str:
        """Raises ModelError for an address that this page may not ask: it would be asked from inside the machine."""
        url = url.strip()[:_LONGEST]
        try:
            parts = urlsplit(url)
            hosts = {parts.netloc, parts.hostname or ""}
        except ValueError:
            parts, hosts = None, set()
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ModelError("that is no endpoint; write http://host:port/v1")
        known = self.settings.endpoint_hosts
        if not self.settings.local and (parts.scheme != "https" or not hosts & set(known)):
            raise ModelError(f"this page asks these hosts only, over https: {', '.join(known)}")
        return url


def _begun(work: Callable[[], T]) -> "Future[T]":
    """What comes of some work in a thread that holds nobody up, not even the end of the page."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # whoever waits for the result gets it
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future
