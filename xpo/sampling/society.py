"""Responses of a society of policies, which rate and criticise each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from xpo.registry import register
from xpo.sampling.base import Sampled

if TYPE_CHECKING:
    from xpo.on_policy.collect import Collector
    from xpo.society.talk import Society as Agents


@register("sampling", "society")
@dataclass(frozen=True)
class Society(Sampled):
    """Agents with one policy and memories of their own answer, hear their peers, and answer again.

    Liu et al. 2023, arXiv 2305.16960, section 3 (Sandbox, back-scatter). A prompt is put to
    ``responses`` / (1 + ``revisions``) of the ``agents``. Each drafts an answer, shown what it recalls: at
    most ``recalled`` earlier questions with a cosine of at least ``similarity`` (of the policy's mean hidden
    state), what it answered and what it heard. ``peers`` others (who sit ``near``, or ``any``) rate an answer
    from 1 to 7 and say why; the agent answers again, so ``revisions`` times. What the run's annotator (the
    observer) finds better than the draft is remembered: ``memory`` questions by each agent, which may begin
    with ``memories`` (JSON lines of prompt and completion, dealt out in turn). Rows hold all answers behind
    the prompt alone, with the peers' mean ratings as ``scores``, or the observer's.

    ``peer_model``: who speaks for peers, as annotators name a model ({url: ..., model: ...}; {path: ...});
    null: the policy. They say at most ``max_critique_tokens``. ``template``: ``back_scatter`` or a file (see
    docs/society.md). With no peers, nothing recalled and no revision it is sampling=on_policy.
    Raises ``ValueError`` for values out of range, and for those that nothing would read.
    Differs from the paper: agents are one policy, and memories keep only what the observer finds better.
    """

    by_policy: ClassVar[bool] = False  # agents answer behind more than the prompt
    reads_values: ClassVar[bool] = False  # which responses stay depends on what they are worth

    responses: int = 4
    agents: int = 16
    peers: int = 4
    circle: Literal["near", "any"] = "near"
    revisions: int = 1
    recalled: int = 1
    similarity: float = 0.7
    memory: int = 64
    memories: str | None = None
    scores: Literal["peers", "observer"] = "peers"
    peer_model: dict[str, Any] | None = field(default=None, hash=False)
    max_critique_tokens: int = 128
    template: str = "back_scatter"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_numbers()
        self._check_unread()
        if not self.converses:
            return
        from xpo.society.texts import read_texts
        from xpo.society.voices import model_of

        read_texts(self.template)
        if self.peer_model is not None:
            model_of(self.peer_model)

    def _check_numbers(self) -> None:
        least = {
            "agents": 1,
            "peers": 0,
            "revisions": 0,
            "recalled": 0,
            "memory": 1,
            "max_critique_tokens": 1,
        }
        for name, value in least.items():
            if self.__dict__[name] < value:
                raise ValueError(f"{name} must be at least {value}, got {self.__dict__[name]}")
        if not -1 <= self.similarity <= 1:
            raise ValueError(f"similarity is a cosine, -1 to 1, got {self.similarity}")
        if self.responses % (1 + self.revisions):
            raise ValueError(
                f"responses must be a multiple of 1 + revisions = {1 + self.revisions}, which is what an "
                f"agent gives; got {self.responses}"
            )
        if self.answering > self.agents or self.peers >= self.agents:
            raise ValueError(
                f"agents={self.agents} are too few for {self.answering} who answer a prompt, with "
                f"{self.peers} peers each"
            )

    def _check_unread(self) -> None:
        unread = {
            "prompt_template": self.prompt_template is not None and "template says what agents are shown",
            "scores": not self.peers and self.scores == "peers" and "there are no peers: scores=observer",
            "peer_model": not self.peers and self.peer_model is not None and "there are no peers",
            "memories": not self.recalled and self.memories is not None and "recalled is 0",
            "recalled": bool(self.recalled)
            and not (self.revisions or self.memories)
            and "revisions is 0, so that nothing is ever improved and remembered: give memories=FILE",
        }
        for name, why in unread.items():
            if why:
                raise ValueError(f"{name}={self.__dict__[name]} is not read: {why}")

    @property
    def converses(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether anybody is told anything."""
        return bool(self.peers or self.recalled or self.revisions)

    @property
    def rates(self) -> frozenset[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What is said of samples in the annotator's place."""
        return frozenset({"comparisons", "labels", "scores"} if self.scores == "peers" else ())

    @property
    def reads(self) -> tuple[tuple[str, str], ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Key and path of the peers' model, where it is on this machine."""
        path = (self.peer_model or {}).get("path")
        return () if path is None else (("sampling.peer_model.path", path),)

    @property
    def idle(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Keys that change nothing as the others are."""
        found = () if self.peers else ("circle", "max_critique_tokens")
        found += () if self.recalled else ("similarity", "memory")
        found += () if self.peers or self.recalled else ("agents",)
        return found if self.converses else (*found, "template")

    @property
    def answering(self) -> int:
        """How many agents answer a prompt."""
        return self.responses // (1 + self.revisions)

    def gather(self, collector: Collector) -> Agents:
        """The agents of a run: who answers and annotates in the place of the policy alone."""
        from xpo.society.talk import Society as Gathered

        return Gathered.of(collector)
