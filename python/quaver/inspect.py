"""What a model becomes on this machine: `quaver inspect`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from quaver import table
from quaver.errors import UnsupportedError
from quaver.samples import input_shapes, random_inputs

if TYPE_CHECKING:
    from quaver import _core
    from quaver.model import Model
    from quaver.stages.staged import Staged

_QUANTIZED = ("uint8", "int8")
_CANDIDATE_RUNS = 5  # of each kernel that was not picked; "scalar" ones are not timed
_EDGES = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")  # between int8 and float


def report(
    model: Model,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    profile: int = 0,
    threads: int = 1,
) -> dict[str, Any]:
    """Describe a model's plan as plain values, ready for JSON.

    Parameters
    ----------
    model
        A loaded model.
    shapes
        The shapes of inputs that the model leaves open, by name.
    profile
        Runs to time each step over, on random inputs; 0 times nothing. Every kernel that might
        have been picked instead is timed too, over fewer runs, and the machine's peak is measured
        once per process.
    threads
        That share a step while it is timed.

    Returns
    -------
    dict
        isa, threads, inputs, outputs, nodes (in run order), and totals. With `profile` each node
        has ms; macs_per_s and bytes_per_s; of_peak, its part of the machine's measured peak, and
        peak, what that is ("macs": multiply-accumulates in registers with the kernel's
        instructions; "copy": copying as many bytes); and candidate_ms by kernel.
    """
    chosen = input_shapes(model.inputs, shapes or {})
    core, plan = model._core, None
    if hasattr(core, "inspect"):
        try:
            plan = core.inspect(chosen)
        except UnsupportedError as error:
            core = model._in_stages(error)
    if plan is None:
        from quaver.stages import inspect  # noqa: PLC0415 -- needs onnx

        return inspect.report(model, cast("Staged", core), chosen)
    nodes = plan_nodes(plan)
    if profile:
        _time_steps(model, nodes, random_inputs(model.inputs, chosen), profile, threads)
    totals = plan_totals(nodes, [plan])
    if profile:
        totals |= {"ms": sum(node["ms"] for node in nodes), "profile_threads": threads}
    return {**heading(model, chosen), "nodes": nodes, "totals": totals}


def heading(model: Model, chosen: Sequence[Sequence[int]]) -> dict[str, Any]:
    """What is said of a model before its nodes, for inputs of the shapes chosen."""
    return {
        "isa": model.isa,
        "float_precision": model.float_precision,
        "threads": model.threads,
        "inputs": [_port(*port) for port in zip(model.inputs, chosen, strict=True)],
        "outputs": [
            {"name": p.name, "dtype": str(p.dtype), "shape": list(p.shape)} for p in model.outputs
        ],
    }


def plan_nodes(plan: _core.PlanRecord) -> list[dict[str, Any]]:
    """Describe the steps of a plan."""
    return [_node(step) for step in plan.steps]


def plan_totals(
    nodes: Sequence[Mapping[str, Any]], plans: Sequence[_core.PlanRecord]
) -> dict[str, Any]:
    """Add up nodes of plans, and what the plans need."""
    return {
        "nodes": len(nodes),
        "int8_nodes": sum(node["int8"] for node in nodes),
        "edge_nodes": sum(node["op"] in _EDGES for node in nodes),
        "macs": sum(node["macs"] for node in nodes),
        "int8_macs": sum(node["macs"] for node in nodes if node["int8"]),
        "weight_bytes": sum(plan.constant_bytes for plan in plans),
        "activation_bytes": sum(plan.activation_bytes for plan in plans),
        "arena_bytes": sum(plan.arena_bytes for plan in plans),
        "scratch_bytes": sum(plan.scratch_bytes for plan in plans),
    }


def render(facts: Mapping[str, Any]) -> str:
    """Set a `report` as a table, one line a node, with the totals under it."""
    header = ["node", "operator", "kernel", "isa", "dtype", "int8", "shape", "bytes", "MACs"]
    header += ["ms", "of peak", "candidates, ms", "note"] if "ms" in facts["totals"] else ["note"]
    rows = [_row(node) for node in facts["nodes"]]
    numbers = [header.index(name) for name in ("bytes", "MACs", "ms", "of peak") if name in header]
    lines = [f"{kind:<7} {_port_text(p)}" for kind in ("inputs", "outputs") for p in facts[kind]]
    if "stages" in facts:
        lines += ["", _stages(facts["stages"])]
    lines += ["", table.render(header, rows, right=numbers), "", _totals(facts["totals"])]
    lines.append(f"isa     {facts['isa']}, {facts['threads']} threads")
    return "\n".join(lines)


def _stages(stages: Sequence[Mapping[str, Any]]) -> str:
    """One line a stage, and under those that are not native why their nodes are not."""
    lines = []
    for i, stage in enumerate(stages):
        count = len(stage["nodes"])
        takes, gives = (", ".join(stage[side]) for side in ("inputs", "outputs"))
        counted = f"{count} node{'' if count == 1 else 's'}"
        note = stage["note"] and f" ({stage['note']})"
        lines.append(f"stage {i}  {stage['device']}, {counted}: {takes} > {gives}{note}")
        lines += [
            f"  {node['op']} {node['node']}: {node['why']}"
            for node in stage["nodes"]
            if node["why"]
        ]
    return "\n".join(lines)


def _node(step: _core.StepRecord) -> dict[str, Any]:
    data = [tensor for tensor in step.inputs if not tensor.constant]
    first = data[0] if data else None
    return {
        "node": step.node,
        "op": step.op,
        "kernel": step.kernel,
        "isa": step.isa,
        "bf16": "_bf16_" in step.kernel,
        "int8": first is not None and first.dtype in _QUANTIZED and step.op not in _EDGES,
        "note": step.note,
        "candidates": list(step.candidates),
        "inputs": [_tensor(tensor) for tensor in data],
        "outputs": [_tensor(tensor) for tensor in step.outputs],
        "bytes": sum(tensor.bytes for tensor in (*data, *step.outputs)),
        "weight_bytes": sum(tensor.bytes for tensor in step.inputs if tensor.constant),
        "macs": step.macs,
        "units": step.units,
        "scratch_bytes": step.scratch,
    }


def _tensor(tensor: _core.TensorRecord) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "bytes": tensor.bytes,
    }


def _port(port: Any, chosen: Sequence[int]) -> dict[str, Any]:
    return {
        "name": port.name,
        "dtype": str(port.dtype),
        "shape": list(port.shape),
        "planned_shape": list(chosen),
    }


def _port_text(port: Mapping[str, Any]) -> str:
    return f"{port['name']}  {port['dtype']}  {table.shape(port['shape'])}"


def _row(node: Mapping[str, Any]) -> list[str]:
    return [
        node["node"],
        node["op"],
        node["kernel"],
        node["isa"],
        _flow(node, lambda tensor: tensor["dtype"]) + (" in bf16" if node["bf16"] else ""),
        _int8(node),
        _flow(node, lambda tensor: table.shape(tensor["shape"])),
        table.size(node["bytes"] + node["weight_bytes"]),
        table.number(node["macs"]) if node["macs"] else "",
        *([f"{node['ms']:.3f}", _of_peak(node), _candidates(node)] if "ms" in node else []),
        node["note"],
    ]


def _flow(node: Mapping[str, Any], describe: Callable[[Mapping[str, Any]], str]) -> str:
    """What goes in and what comes out, each kind once; once in all where they are the same."""
    taken, given = (
        ", ".join(dict.fromkeys(map(describe, node[side]))) for side in ("inputs", "outputs")
    )
    return given if taken in ("", given) else f"{taken} > {given}"


def _int8(node: Mapping[str, Any]) -> str:
    if node["op"] in _EDGES:
        return "edge"
    return "yes" if node["int8"] else "no"


def _totals(totals: Mapping[str, Any]) -> str:
    arena, activations = totals["arena_bytes"], totals["activation_bytes"]
    share = f" ({arena / activations:.0%} of them)" if activations else ""
    lines = [
        f"nodes   {totals['nodes']}, {totals['int8_nodes']} in int8"
        f" and {totals['edge_nodes']} at its edges",
        f"MACs    {table.number(totals['macs'])}"
        + (f", {totals['int8_macs'] / totals['macs']:.1%} in int8" if totals["macs"] else ""),
        f"weights {table.size(totals['weight_bytes'])}",
        f"arena   {table.size(arena)} for {table.size(activations)} of tensors{share}",
    ]
    if "ms" in totals:
        count = totals["profile_threads"]
        on = "one thread" if count == 1 else f"{count} threads"
        lines.append(f"time    {totals['ms']:.3f} ms in the steps, {on}")
    return "\n".join(lines)


def _of_peak(node: Mapping[str, Any]) -> str:
    if node["of_peak"] is None:
        return ""
    return f"{node['of_peak']:.0%}" + (" copy" if node["peak"] == "copy" else "")


def _candidates(node: Mapping[str, Any]) -> str:
    """The kernels that were not picked, each with its time."""
    others = [
        f"{kernel} {milliseconds:.3f}"
        for kernel, milliseconds in node["candidate_ms"].items()
        if kernel != node["kernel"]
    ]
    return ", ".join(others)


def _time_steps(
    model: Model, nodes: Sequence[dict[str, Any]], arrays: Sequence[Any], runs: int, threads: int
) -> None:
    """Add to each node its time, its part of the peak, and its other kernels' times."""
    others = {kernel for node in nodes for kernel in node["candidates"] if "scalar" not in kernel}
    for node, (_, seconds) in zip(
        nodes, model._core.profile(arrays, runs, None, threads), strict=True
    ):
        node["ms"] = 1e3 * seconds
        node["candidate_ms"] = {node["kernel"]: node["ms"]} if node["candidates"] else {}
        node.update(_rates(node, seconds, threads))
    for kernel in sorted(others):
        if all(kernel == node["kernel"] for node in nodes if kernel in node["candidates"]):
            continue
        timed = model._core.profile(arrays, _CANDIDATE_RUNS, kernel, threads)
        for node, (used, seconds) in zip(nodes, timed, strict=True):
            if used == kernel and kernel in node["candidates"]:
                node["candidate_ms"].setdefault(kernel, 1e3 * seconds)


def _rates(node: Mapping[str, Any], seconds: float, threads: int) -> dict[str, Any]:
    """Work and traffic a second, against the measured peak of so many cores."""
    from quaver import _core  # noqa: PLC0415 -- conversion alone does without the extension

    moved = node["bytes"] + node["weight_bytes"]
    rates: dict[str, Any] = {
        "macs_per_s": node["macs"] / seconds if seconds else 0.0,
        "bytes_per_s": moved / seconds if seconds else 0.0,
        "peak": None,
        "of_peak": None,
    }
    peak = _core.peak_macs(node["isa"], node["int8"]) if node["macs"] else 0.0
    if peak:
        rates |= {"peak": "macs", "of_peak": rates["macs_per_s"] / (threads * peak)}
    elif not node["macs"] and moved:
        copied = threads * _core.peak_copy(moved)
        rates |= {"peak": "copy", "of_peak": rates["bytes_per_s"] / copied}
    return rates
