#!/usr/bin/env python3
"""The rows of DBOS in the table of benches/peers/functions: the same loads as in src/bin/functions.rs. Needs `pip install dbos`."""

import os
import tempfile
import time

from dbos import DBOS


@DBOS.step()
def add(total):
    return total + 1


@DBOS.workflow()
def count(calls):
    total = 0
    for _ in range(calls):
        total = add(total)
    return total


def measure(functions, calls):
    began = time.time()
    handles = [DBOS.start_workflow(count, calls) for _ in range(functions)]
    assert all(handle.get_result() == calls for handle in handles)
    return functions * calls / (time.time() - began)


def main():
    loads = [(1, 20), (5, 4)] if "PEERS_QUICK" in os.environ else [(1, 2_000), (100, 50)]
    with tempfile.TemporaryDirectory() as folder:
        url = "sqlite:///" + os.path.join(folder, "dbos.sqlite")
        DBOS(config={"name": "functions", "system_database_url": url, "run_admin_server": False, "log_level": "ERROR"})
        DBOS.launch()
        one, many = [measure(*load) for load in loads]
        print(f"| DBOS 3, SQLite in a file | {one:.0f} | {many:.0f} |")
        DBOS.destroy()


if __name__ == "__main__":
    main()
