"""Runs a command at a terminal and answers its questions: terminal.py QUESTION ANSWER ... -- COMMAND..."""

import os
import pty
import select
import sys
import time

end = sys.argv.index("--")
words = sys.argv[1:end]
answers = list(zip(words[::2], words[1::2]))
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[end + 1], sys.argv[end + 1 :])
seen, last = "", time.time() + 60
while time.time() < last:
    if not select.select([terminal], [], [], 0.2)[0]:
        continue
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    seen += data.decode(errors="replace")
    sys.stdout.write(data.decode(errors="replace"))
    if answers and answers[0][0] in seen:
        seen = ""
        os.write(terminal, (answers.pop(0)[1] + "\n").encode())
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
