"""Ensembles of trees (ai.onnx.ml): their tables as the core walks them, scores and labels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from quaver.convert.builder import Array
from quaver.convert.onnx.learned import ML, as_floats, classify, transformed
from quaver.convert.onnx.node import Node, handler

_MODES = {
    "BRANCH_LEQ": 0,
    "BRANCH_LT": 1,
    "BRANCH_GTE": 2,
    "BRANCH_GT": 3,
    "BRANCH_EQ": 4,
    "BRANCH_NEQ": 5,
}
_BY_NUMBER = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")
_MEMBER = 6
_NAN_GOES = 8


class _Split(NamedTuple):
    """An inner node: children are keys of splits or leaves."""

    feature: int
    threshold: float
    mode: int
    yes: Any
    no: Any


class _Forest:
    """Splits and leaves under any keys, and the arrays they become."""

    def __init__(self) -> None:
        self.splits: dict[Any, _Split] = {}
        self.leaves: dict[Any, list[tuple[int, float]]] = {}
        self.roots: list[Any] = []

    def arrays(self, node: Node, dtype: Any) -> list[tuple[str, Array]]:
        """Number the splits, parents before children."""
        order: dict[Any, int] = {}
        for root in self.roots:
            left = [root]
            while left:
                key = left.pop()
                if key in order:
                    raise node.invalid("a node of a tree is reached in two ways")
                if key in self.splits:
                    order[key] = len(order)
                    left += [self.splits[key].no, self.splits[key].yes]
                elif key not in self.leaves:
                    raise node.invalid("a tree points to a node that is not there")
        leaf = {key: i for i, key in enumerate(self.leaves)}
        place = {**order, **{key: -1 - i for key, i in leaf.items()}}
        splits = [self.splits[key] for key in order]
        ends = np.cumsum([0, *(len(parts) for parts in self.leaves.values())])
        parts = [part for parts in self.leaves.values() for part in parts]
        children = [(place[split.yes], place[split.no]) for split in splits]
        return [
            ("roots", np.array([place[root] for root in self.roots], np.int32)),
            ("feature", np.array([s.feature for s in splits], np.int32)),
            ("threshold", np.array([s.threshold for s in splits], dtype)),
            ("mode", np.array([s.mode for s in splits], np.uint8)),
            ("children", np.array(children, np.int32).reshape(-1, 2)),
            ("leaf_begin", ends.astype(np.int32)),
            ("target", np.array([target for target, _ in parts], np.int32)),
            ("weight", np.array([weight for _, weight in parts], dtype)),
        ]


def _attribute(node: Node, name: str, count: int | None = None) -> list[float]:
    """Return a list of floats, from the tensor that stands for it where there is one."""
    if node.has_attribute(f"{name}_as_tensor"):
        values = [float(v) for v in node.array_attribute(f"{name}_as_tensor").reshape(-1)]
    else:
        values = node.floats(name)
    if count is not None and len(values) != count:
        raise node.invalid(f"{name} has {len(values)} values, expected {count}")
    return values


def _per_node(node: Node) -> _Forest:
    """Read the tables of TreeEnsembleClassifier and -Regressor: a row for each node."""
    forest = _Forest()
    trees, ids = node.ints("nodes_treeids"), node.ints("nodes_nodeids")
    keys = list(zip(trees, ids, strict=True))
    count = len(keys)
    modes, features = node.strings("nodes_modes"), node.ints("nodes_featureids")
    values = _attribute(node, "nodes_values", count)
    yes, no = node.ints("nodes_truenodeids"), node.ints("nodes_falsenodeids")
    missing = node.ints("nodes_missing_value_tracks_true") or [0] * count
    for i, key in enumerate(keys):
        if modes[i] == "LEAF":
            forest.leaves[key] = []
            continue
        if modes[i] not in _MODES:
            raise node.unsupported(f"nodes of the mode {modes[i]}")
        mode = _MODES[modes[i]] | (_NAN_GOES if missing[i] else 0)
        children = (key[0], yes[i]), (key[0], no[i])
        forest.splits[key] = _Split(features[i], values[i], mode, *children)
    pointed = {child for split in forest.splits.values() for child in (split.yes, split.no)}
    forest.roots = [key for key in keys if key not in pointed]
    prefix = "class" if node.op == "TreeEnsembleClassifier" else "target"
    weights = _attribute(node, f"{prefix}_weights")
    owners = zip(node.ints(f"{prefix}_treeids"), node.ints(f"{prefix}_nodeids"), strict=True)
    for key, target, weight in zip(owners, node.ints(f"{prefix}_ids"), weights, strict=True):
        if key not in forest.leaves:
            raise node.invalid(f"a weight is of node {key[1]} of tree {key[0]}, which is no leaf")
        forest.leaves[key].append((target, weight))
    return forest


def _scores(node: Node, forest: _Forest, targets: int, aggregate: str) -> int:
    """Emit the walk, the base values, and the mean where it is asked for."""
    x, dtype = as_floats(node, doubles=True)
    tables = [
        node.add_constant(name, array) for name, array in forest.arrays(node, np.dtype(dtype))
    ]
    total = "SUM" if aggregate == "AVERAGE" else aggregate
    scores = node.emit("TreeEnsemble", x, *tables, targets=targets, sum=total)
    if aggregate == "AVERAGE":
        count = node.add_constant("trees", np.array(len(forest.roots), dtype))
        scores = node.emit("Div", scores, count)
    return scores


@handler("TreeEnsembleRegressor", domain=ML)
def tree_regressor(node: Node) -> None:
    """Weights of leaves, summed for each target."""
    targets = node.integer("n_targets", 1)
    scores = _scores(node, _per_node(node), targets, node.string("aggregate_function", "SUM"))
    if base := _attribute(node, "base_values"):
        scores = node.emit("Add", scores, node.add_constant("base", np.array(base, np.float32)))
    node.pass_on(transformed(node, scores, targets))


@handler("TreeEnsembleClassifier", domain=ML)
def tree_classifier(node: Node) -> None:
    """A label for each row, and a score for each class."""
    forest = _per_node(node)
    labels = len(node.ints("classlabels_int64s")) or len(node.strings("classlabels_strings"))
    used = {target for parts in forest.leaves.values() for target, _ in parts}
    binary = labels == 2 and len(used) == 1
    base = _attribute(node, "base_values")
    positive = all(w >= 0 for parts in forest.leaves.values() for _, w in parts)
    if binary:  # one score stands for both
        forest.leaves = {k: [(0, w) for _, w in parts] for k, parts in forest.leaves.items()}
    scores = _scores(node, forest, 1 if binary else labels, "SUM")
    if base:
        if binary and len(base) == 2:
            base = [base[next(iter(used))]]
        scores = node.emit("Add", scores, node.add_constant("base", np.array(base, np.float32)))
    classify(node, scores, labels, single=binary, positive=positive)


@handler("TreeEnsemble", domain=ML)
def tree_ensemble(node: Node) -> None:
    """Trees in the newer tables: a row for each split and for each leaf."""
    forest, dtype = _Forest(), node.array_attribute("nodes_splits").dtype
    splits = node.array_attribute("nodes_splits").reshape(-1)
    modes = node.array_attribute("nodes_modes").reshape(-1)
    features = node.ints("nodes_featureids")
    yes, no = node.ints("nodes_truenodeids"), node.ints("nodes_falsenodeids")
    yes_leaf, no_leaf = node.ints("nodes_trueleafs"), node.ints("nodes_falseleafs")
    missing = node.ints("nodes_missing_value_tracks_true") or [0] * len(splits)
    members = _members(node)
    for i, mode in enumerate(modes):
        children = (
            ("leaf", i, 0) if yes_leaf[i] else yes[i],
            ("leaf", i, 1) if no_leaf[i] else no[i],
        )
        nan = _NAN_GOES if missing[i] else 0
        if int(mode) == _MEMBER:
            like = _Split(features[i], 0.0, _MODES["BRANCH_EQ"] | nan, *children)
            _grow_members(forest, i, like, next(members))
        else:
            forest.splits[i] = _Split(features[i], float(splits[i]), int(mode) | nan, *children)
        for side, (is_leaf, child) in enumerate(((yes_leaf[i], yes[i]), (no_leaf[i], no[i]))):
            if is_leaf:
                target = node.ints("leaf_targetids")[child]
                weight = float(node.array_attribute("leaf_weights").reshape(-1)[child])
                forest.leaves["leaf", i, side] = [(target, weight)]
    forest.roots = list(node.ints("tree_roots"))
    targets = node.integer("n_targets", 1)
    names = ("AVERAGE", "SUM", "MIN", "MAX")
    scores = _scores(node, forest, targets, names[node.integer("aggregate_function", 1)])
    kinds = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
    scores = transformed(node, scores, targets, kinds[node.integer("post_transform")])
    if np.dtype(dtype) == np.float64 and node.scope.dtype(node.input_names[0]) != "float64":
        raise node.unsupported("thresholds of float64 for features of another dtype")
    node.pass_on(scores)


def _members(node: Node) -> Any:
    """Give the set of values of each BRANCH_MEMBER in turn; NaN ends one."""
    if not node.has_attribute("membership_values"):
        return iter(())
    values = node.array_attribute("membership_values").reshape(-1)
    ends = np.flatnonzero(np.isnan(values))
    return iter(np.split(values, ends + 1) if len(ends) else [values])


def _grow_members(forest: _Forest, key: int, like: _Split, values: Array) -> None:
    """A test for membership is one of equality after the other, all with the same `yes`."""
    wanted = [float(v) for v in values if not np.isnan(v)]
    here: Any = key
    for i, value in enumerate(wanted):
        further: Any = ("member", key, i + 1) if i + 1 < len(wanted) else like.no
        forest.splits[here] = like._replace(threshold=value, no=further)
        here = further
