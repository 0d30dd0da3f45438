"""Classical models as skl2onnx exports them from scikit-learn, natively, against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from skl2onnx import to_onnx
from sklearn import ensemble, linear_model, pipeline, preprocessing, svm, tree
from sklearn.datasets import load_diabetes, load_iris
from sklearn.impute import SimpleImputer

import quaver

IRIS = load_iris()
FLOWERS, KINDS = IRIS.data.astype(np.float32), IRIS.target
FLOWERS += np.random.default_rng(1).normal(0, 0.01, FLOWERS.shape).astype(np.float32)  # no ties
NAMES = np.array(["setosa", "versicolor", "virginica"])[KINDS]
SICK, PROGRESS = load_diabetes(return_X_y=True)
SICK = SICK.astype(np.float32)
SOME = {"max_depth": 4, "random_state": 0}


def classifiers() -> dict[str, Any]:
    return {
        "tree": tree.DecisionTreeClassifier(**SOME),
        "forest": ensemble.RandomForestClassifier(20, **SOME),
        "extra trees": ensemble.ExtraTreesClassifier(10, **SOME),
        "boosting": ensemble.GradientBoostingClassifier(n_estimators=8, random_state=0),
        "logistic": linear_model.LogisticRegression(max_iter=500),
        "scaled": pipeline.make_pipeline(
            preprocessing.StandardScaler(), linear_model.LogisticRegression()
        ),
    }


def regressors() -> dict[str, Any]:
    return {
        "tree": tree.DecisionTreeRegressor(**SOME),
        "forest": ensemble.RandomForestRegressor(20, **SOME),
        "boosting": ensemble.GradientBoostingRegressor(n_estimators=20, random_state=0),
        "linear": linear_model.LinearRegression(),
        "ridge": linear_model.Ridge(),
        "normalized": pipeline.make_pipeline(
            SimpleImputer(), preprocessing.Normalizer(), linear_model.Lasso(0.1)
        ),
        "rbf": svm.SVR(C=100),
        "poly": svm.SVR(kernel="poly", C=100),
        "sigmoid": svm.SVR(kernel="sigmoid", C=10),
        "minmax": pipeline.make_pipeline(
            preprocessing.MinMaxScaler(),
            preprocessing.Binarizer(threshold=0.5),
            tree.DecisionTreeRegressor(**SOME),
        ),
    }


def compare(exported: Any, x: np.ndarray) -> quaver.Model:
    model = quaver.load(exported, fallback=None)
    session = onnxruntime.InferenceSession(exported.SerializeToString())
    for rows in (x, x[:1], x[:9]):
        wanted = session.run(None, {session.get_inputs()[0].name: rows})
        got = model.run({model.inputs[0].name: rows}).values()
        for array, want in zip(got, wanted, strict=True):
            if isinstance(want, list):
                assert array == want or _close(array, want)
            elif want.dtype == object:
                assert array.tolist() == want.tolist()
            else:
                np.testing.assert_allclose(array, want, rtol=1e-4, atol=1e-5)
    return model


def _close(maps: list[dict[Any, float]], wanted: list[dict[Any, float]]) -> bool:
    return all(
        a.keys() == b.keys() and np.allclose(list(a.values()), list(b.values()), atol=1e-5)
        for a, b in zip(maps, wanted, strict=True)
    )


@pytest.mark.parametrize("name", classifiers())
@pytest.mark.parametrize("classes", [2, 3])
def test_classifiers(name: str, classes: int) -> None:
    chosen = classes > KINDS
    x, model = FLOWERS[chosen], classifiers()[name].fit(FLOWERS[chosen], KINDS[chosen])
    exported = to_onnx(model, x[:1], options={id(model): {"zipmap": False}}, target_opset=18)
    loaded = compare(exported, x)
    labels = loaded.run({loaded.inputs[0].name: x})[loaded.outputs[0].name]
    assert (labels == model.predict(x)).mean() > 0.99


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kernel", ["rbf", "poly", "linear", "sigmoid"])
@pytest.mark.parametrize("likely", [False, True])
def test_support_vectors(classes: int, kernel: str, *, likely: bool) -> None:
    chosen = classes > KINDS
    x = (FLOWERS[chosen] - FLOWERS.mean(0)) / FLOWERS.std(0)
    model = svm.SVC(kernel=kernel, probability=likely, random_state=0).fit(x, KINDS[chosen])
    exported = to_onnx(model, x[:1], options={id(model): {"zipmap": False}}, target_opset=18)
    loaded = compare(exported, x)
    stages = getattr(loaded._core, "stages", [])
    assert [stage.runs.kind for stage in stages] in ([], ["native"])
    assert (loaded(x)[0] == model.predict(x)).mean() > 0.99


def test_support_vectors_of_names() -> None:
    model = svm.SVC().fit(FLOWERS, NAMES)
    exported = to_onnx(model, FLOWERS[:1], options={id(model): {"zipmap": False}}, target_opset=18)
    labels = compare(exported, FLOWERS)(FLOWERS)[0]
    assert labels.tolist() == model.predict(FLOWERS).tolist()


def test_labels_that_are_strings_and_maps() -> None:
    model = ensemble.RandomForestClassifier(5, **SOME).fit(FLOWERS, NAMES)
    loaded = compare(to_onnx(model, FLOWERS[:1], target_opset=18), FLOWERS)
    labels, maps = loaded(FLOWERS[:2])
    assert labels.tolist() == model.predict(FLOWERS[:2]).tolist()
    assert set(maps[0]) == set(NAMES)


@pytest.mark.parametrize("name", regressors())
def test_regressors(name: str) -> None:
    model = regressors()[name].fit(SICK, PROGRESS)
    loaded = compare(to_onnx(model, SICK[:1], target_opset=18), SICK)
    got = loaded(SICK)
    np.testing.assert_allclose(got.reshape(-1), model.predict(SICK).reshape(-1), rtol=1e-3)


def test_trees_run_natively_and_compile(tmp_path: Any) -> None:
    model = ensemble.RandomForestRegressor(20, **SOME).fit(SICK, PROGRESS)
    loaded = quaver.load(to_onnx(model, SICK[:1], target_opset=18), fallback=None)
    loaded.save(tmp_path / "forest.quaver")
    again = quaver.load(tmp_path / "forest.quaver", isa="scalar", threads=2)
    np.testing.assert_array_equal(again(SICK), loaded(SICK))
