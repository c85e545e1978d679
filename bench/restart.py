"""dev/bench restart: 10 million records on SSD: RAM of the index, and how soon it is there after a clean stop and a kill."""

import argparse
import datetime
import pathlib
import re
import shutil
import subprocess
import tempfile

from lib.processes import micro
from lib.report import machine, publish, table

LINE = re.compile(r"(after .*?)\s+(\d+) ms to ready, (\d+) ms until all is loaded, (\d+) records, ([\d.]+) bytes of "
                  r"index a record, ([\d.]+) % of a sample found, (\d+) us a read")


def main():
    parser = argparse.ArgumentParser(prog="dev/bench restart", description=__doc__)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--bytes", type=int, default=1024, help="of each body (default 1024)")
    parser.add_argument("--folder", default="/var/tmp", help="with room for them all (default /var/tmp)")
    parser.add_argument("--no-publish", dest="publish", action="store_false", help="leave docs/benchmarks.md alone")
    args = parser.parse_args()
    program = micro("disk_restart")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="skerry-bench-", dir=args.folder))
    try:
        text = subprocess.run([program, folder / "store", str(args.records), str(args.bytes)], stdout=subprocess.PIPE,
                              text=True, check=True).stdout
    finally:
        shutil.rmtree(folder)
    print(text)
    rows = [[how, f"{int(ready):,}", f"{int(whole):,}", f"{int(records):,}", each, f"{found} %", read]
            for how, ready, whole, records, each, found, read in LINE.findall(text)]
    if len(rows) != 2:
        raise SystemExit("the program said something else: see above")
    text = f"""## Restart of the SSD tier

`dev/bench restart`, {datetime.date.today()}, {machine()}. {args.records:,} records with bodies of {args.bytes:,} bytes in
one store. "ready" is when it answers, "whole" when all its records are known again; after the kill it loads the newest
first, and what is not loaded yet is a miss. The killed process was writing. RAM is all of the index's memory.

""" + table(["", "ready ms", "whole ms", "records", "bytes of RAM a record", "of a sample found", "us a read"], rows)
    if args.publish:
        publish("restart", text)
        print("wrote docs/benchmarks.md")


if __name__ == "__main__":
    main()
