"""Which versions are to be served."""

from __future__ import annotations

from collections.abc import Collection


def wanted(policy: str, there: Collection[int], withdrawn: Collection[int] = ()) -> list[int]:
    """The versions that a policy asks for, of those there are, in ascending order.

    Parameters
    ----------
    policy
        ``latest``, ``latest:N``, ``all``, or numbers separated by commas.
    there
        The versions there are.
    withdrawn
        Those that were rolled back.
    """
    usable = sorted(set(there) - set(withdrawn))
    if policy == "all":
        return usable
    if policy.startswith("latest"):
        return usable[-int(policy.partition(":")[2] or 1) :]
    named = {int(number) for number in policy.split(",")}
    return [version for version in usable if version in named]
