#!/usr/bin/env python3
"""Coordination and planning beside peers in Python: GTPyhop for plans, SciPy (HiGHS, linear_sum_assignment) for teams and
assignments.

    pip install gtpyhop scipy
    COUNTERPOINT_INSTANCE=/some/team.json cargo bench -p benches --bench coordination -- team      # writes the instance
    python3 benches/peers/coordination.py /some/team.json [seconds for the large team]

Prints processor time, the best of several runs.
"""

import contextlib
import io
import json
import sys
import time

import numpy as np
import scipy
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp
from scipy.sparse import csr_matrix


def best_of(runs, work):
    """The least processor time of several runs, in milliseconds, and what the last gave."""
    best = float("inf")
    for _ in range(runs):
        begun = time.process_time()
        found = work()
        best = min(best, time.process_time() - begun)
    return 1e3 * best, found


def plans():
    """The same problems, methods and operators as in benches/coordination.rs."""
    with contextlib.redirect_stdout(io.StringIO()):
        import gtpyhop
        from gtpyhop.examples.blocks_htn import examples as blocks

    gtpyhop.verbose = 0
    gtpyhop.set_current_domain(blocks.the_domain)

    def problem(stands, wanted):
        state = gtpyhop.State("state")
        state.pos = dict(stands)
        state.clear = {block: block not in stands.values() for block in stands}
        state.holding = {"hand": False}
        goal = gtpyhop.Multigoal("goal")
        goal.pos = dict(wanted)
        return lambda: gtpyhop.find_plan(state.copy(), [("achieve", goal)])

    large = (
        {1: 12, 2: "table", 3: 2, 4: 14, 5: 4, 6: "table", 7: 6, 8: 7, 9: 8, 10: 5, 11: 10, 12: 13, 13: "table",
         14: 15, 15: "table", 16: 3, 17: 16, 18: 17, 19: 18},
        {15: 13, 13: 8, 8: 9, 9: 4, 4: "table", 12: 2, 2: 3, 3: 16, 16: 11, 11: 7, 7: 6, 6: "table"},
    )
    tower = (
        {block: block + 1 if block < 59 else "table" for block in range(60)},
        {block: block - 1 if block > 0 else "table" for block in range(60)},
    )
    for name, (stands, wanted) in [("bw_large_d", large), ("a tower of 60 turned over", tower)]:
        work = problem(stands, wanted)
        with contextlib.redirect_stdout(io.StringIO()):
            took, plan = best_of(20, work)
        print(f"GTPyhop, blocks world, {name}, {len(plan)} steps: {took:.3f} ms")


def team(path, seconds):
    """Weighted set cover as a mixed-integer program."""
    with open(path, encoding="utf-8") as file:
        instance = json.load(file)
    costs = np.array(instance["costs"], dtype=float)
    for count, ours in [(instance["few"], instance["few_cost"]), (len(instance["able"]), instance["all_cost"])]:
        able = instance["able"][:count]
        pairs = [(skill, agent) for skill, agents in enumerate(able) for agent in agents]
        rows, columns = zip(*pairs)
        matrix = csr_matrix((np.ones(len(pairs)), (rows, columns)), shape=(count, len(costs)))

        def solve():
            return milp(costs, integrality=np.ones(len(costs)), bounds=Bounds(0, 1),
                        constraints=LinearConstraint(matrix, lb=1), options={"time_limit": seconds})

        took, found = best_of(3 if count < 50 else 1, solve)
        print(f"HiGHS, a team for {count} skills of {len(costs)}: {took:.1f} ms, cost {found.fun:.0f}, "
              f"bound {found.mip_dual_bound:.1f}; ours {ours}")


def assignments():
    """The shapes of benches/planning.rs; other numbers of the same distribution."""
    draw = np.random.default_rng(7)
    for size in (100, 1_000, 2_000):
        kinds = [("random", draw.integers(0, 1_000_000, (size, size))), ("ties", draw.integers(0, 100, (size, size)))]
        if size <= 1_000:
            kinds.append(("product", np.outer(np.arange(1, size + 1), np.arange(1, size + 1))))
        for kind, costs in kinds:
            costs = costs.astype(float)
            took, _ = best_of(3, lambda costs=costs: linear_sum_assignment(costs))
            print(f"SciPy, assignment, {kind} {size}: {took:.2f} ms")


if __name__ == "__main__":
    print(f"Python {sys.version.split()[0]}, SciPy {scipy.__version__}")
    plans()
    if len(sys.argv) > 1:
        team(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 60.0)
    assignments()
