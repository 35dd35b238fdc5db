"""Many short requests, each on a connection of its own, until SIGTERM: load.py COOKIE GROUP. None may fail, whatever
happens to the server meanwhile. Ends with 1 where one did, and says how many there were."""

import http.client
import json
import signal
import sys
import threading
import time

cookie, group = sys.argv[1:]
over = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: over.set())
counts = {"requests": 0, "entries": 0}
slowest = 0.0
failures = []
lock = threading.Lock()


def ask(method, path, body=None):
    """One request on a fresh connection; the answer's status."""
    connection = http.client.HTTPConnection("127.0.0.1", 8222, timeout=20)
    try:
        headers = {"Cookie": f"deuced={cookie}", "Content-Type": "application/json"}
        connection.request(method, path, body and json.dumps(body), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def work(number):
    global slowest
    round = 0
    while not over.is_set():
        round += 1
        begin = time.monotonic()
        try:
            if round % 2:
                status, kind = ask("GET", "/api/groups"), "requests"
            else:
                entry = {"groupId": group, "location": "Home", "thoughts": f"{number} {round}"}
                status, kind = ask("POST", "/api/deuces", entry), "entries"
            if status != 200:
                raise OSError(f"status {status}")
        except (OSError, http.client.HTTPException) as error:
            with lock:
                failures.append(f"{number} {round}: {error!r}")
            continue
        with lock:
            counts[kind] += 1
            slowest = max(slowest, time.monotonic() - begin)


threads = [threading.Thread(target=work, args=[number]) for number in range(6)]
for thread in threads:
    thread.start()
print("running", flush=True)
while not over.wait(0.1):
    pass
for thread in threads:
    thread.join()
for failure in failures[:20]:
    print(failure)
print(f"{counts['requests']} questions and {counts['entries']} entries, {len(failures)} failed, {slowest:.2f} s the slowest")
sys.exit(1 if failures or not counts["entries"] else 0)
