"""What a model in stages becomes: the stages, why nodes are not native, and the native plans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quaver.convert.onnx.names import node_name
from quaver.inspect import heading, plan_nodes, plan_totals
from quaver.samples import random_inputs
from quaver.stages.native import Specialized, Whole
from quaver.stages.stage import Stage
from quaver.stages.staged import Staged

if TYPE_CHECKING:
    from quaver.model import Model


def report(model: Model, core: Staged, shapes: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Describe a model in stages as `quaver.inspect.report` does one of one graph.

    It is run once, on random inputs: the shapes between its stages are known only then.
    """
    feeds = core.feeds(random_inputs(model.inputs, shapes))
    plans = [
        stage.runs.inspect(given) if isinstance(stage.runs, (Whole, Specialized)) else None
        for stage, given in feeds
    ]
    nodes = [
        {"stage": i, **node}
        for i, plan in enumerate(plans)
        if plan is not None
        for node in plan_nodes(plan)
    ]
    totals = plan_totals(nodes, [plan for plan in plans if plan is not None])
    return {
        **heading(model, shapes),
        "stages": [_stage(stage) for stage, _ in feeds],
        "nodes": nodes,
        "totals": {**totals, "stages": len(feeds)},
    }


def _stage(stage: Stage) -> dict[str, Any]:
    return {
        "device": stage.runs.kind,
        "inputs": list(stage.inputs),
        "outputs": list(stage.outputs),
        "note": stage.note,
        "nodes": [
            {
                "node": node_name(node),
                "op": node.op_type,
                "why": stage.reasons.get(node_name(node), ""),
            }
            for node in stage.model.graph.node
        ],
    }
