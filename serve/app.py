"""The graph of the service. Every `.bind` of the project is here.

    fused    client -> Gateway(Encoder, Retriever, Reranker in one process)
    spread   client -> Gateway -> Encoder -> Retriever -> Reranker, each a deployment

Which one, by `serve.topology`; the answers are the same.
    serve run serve.app:build home=/abs/home topology=spread
"""

import os
from typing import Literal

from pydantic import BaseModel
from ray import serve

from serve.encoder import EncoderStage
from serve.gateway import Gateway, GatewayArgs, Stages
from serve.reranker import RerankerStage
from serve.retriever import RetrieverStage
from xmodal.settings import ServeSettings

AT_ONCE = 256  # above the gateway's own limit (limits.py), which answers in our error's shape
STAGE_CPUS = 0.1  # logical: so that a replica more fits while one is replaced


class ServeArgs(BaseModel):
    """What the builder takes."""

    home: str
    topology: Literal["fused", "spread"] = "fused"
    replicas: int = 1
    deadline_ms: int = 2000
    rerank_depth: int = 50
    collapse_attribute: str | None = None
    threads: int = 0
    """Threads of torch and FAISS in each process; 0 = the cores, shared by the replicas."""


def args_of(home: str, settings: ServeSettings) -> ServeArgs:
    """The builder's arguments from the settings."""
    return ServeArgs(
        home=home,
        topology=settings.topology,
        replicas=settings.replicas,
        deadline_ms=settings.deadline_ms,
        rerank_depth=settings.rerank_depth,
        collapse_attribute=settings.collapse_attribute,
    )


def build(args: ServeArgs) -> serve.Application:
    """The application; nothing starts before `serve.run`."""
    threads = args.threads or max(1, (os.cpu_count() or 1) // args.replicas)
    front = GatewayArgs(
        args.home, args.deadline_ms, args.rerank_depth, threads, args.collapse_attribute
    )
    if args.topology == "fused":
        return _deploy(Gateway, args).bind(front)
    encoder = _deploy(EncoderStage, args).bind(args.home, threads)
    retriever = _deploy(RetrieverStage, args).bind(args.home, threads)
    reranker = _deploy(RerankerStage, args).bind(args.home, threads)
    return _deploy(Gateway, args).bind(front, Stages(encoder, retriever, reranker))


def _deploy(kind: type, args: ServeArgs) -> serve.Deployment:
    return serve.deployment(
        num_replicas=args.replicas,
        max_ongoing_requests=AT_ONCE,
        max_queued_requests=AT_ONCE,
        # A new version starts before the old one goes: no pause with one replica.
        max_surge_percent=100,
        health_check_period_s=5,
        graceful_shutdown_timeout_s=10,
        ray_actor_options={"num_cpus": STAGE_CPUS},
    )(kind)
