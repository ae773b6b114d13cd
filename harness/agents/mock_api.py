#!/usr/bin/env python3
"""A stand-in for the model APIs that coding agents talk to, on the loopback interface alone.

It speaks four dialects:

    Anthropic Messages    POST …/v1/messages
    OpenAI Responses      POST …/responses
    OpenAI Chat           POST …/chat/completions
    Gemini                POST …/models/M:streamGenerateContent and :generateContent

What it answers is a scenario: the last `@@name` in the newest prompt decides, or else the base URL
`http://127.0.0.1:PORT/x/NAME`. A scenario is a list of steps, of which the number of tool results after
the newest prompt chooses one; the last repeats. After `@@shell` and `@@background` follows a command
and after `@@write` a path, to the end of the line.

The first line of standard output is the port. Then comes a line of JSON for each thing that happened:

    {"event": "request", "number": 3, "scenario": "hang", "attempt": 1, "prompts": 2, "results": 0}
    {"event": "partial", "number": 3}     a part of an answer was sent, and the rest is not coming
    {"event": "gone", "number": 3}        the agent has closed its connection before the answer's end

`number` counts requests for an answer from 1, `attempt` those of one scenario, `prompts` the prompts
that the model was shown. Side requests of an agent, which offer no tool, are no such requests: they are
told as "side" and answered by a word.

It leaves when standard input is closed. With `--refuse` it holds a port on which nobody listens. It
never forwards anything anywhere, and needs Python's standard library alone.
"""
import json
import re
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dialects import DIALECTS, tools_of

# How long an answer is held back that is not coming, in seconds: longer than any test.
HANG_SECONDS_MAX = 1800

# Prose that does not repeat itself: one agent takes repeating text for a loop.
PROSE = " ".join(f"word {number} of many" for number in range(1000))


def say(answer, **more):
    return dict(kind="text", text=answer, **more)


def shell(command, **more):
    return dict(kind="shell", command=command, **more)


def status(code, **more):
    return dict(kind="status", code=code, **more)


# What a subscription's limit looks like: it says when it is over.
LIMIT = {
    "retry-after": "3600", "anthropic-ratelimit-unified-status": "rejected",
    "anthropic-ratelimit-unified-reset": "1893456000",
    "anthropic-ratelimit-unified-representative-claim": "five_hour",
}

SCENARIOS = {
    "ok": [say("Hello from the mock model.")],
    "echo": [shell("echo hello-from-tool"), say("The tool ran.")],
    "sleep": [shell("sleep 300"), say("Slept.")],
    "stubborn": [shell("trap '' INT TERM HUP; sleep 301 & sleep 302; wait"), say("Slept.")],
    "loop": [shell("echo again")],
    "recall": [dict(kind="recall")],
    # About a minute of text.
    "slow": [say(PROSE[:6000], chunk=20, delay_seconds=0.2)],
    "401": [status(401)],
    "400": [status(400)],
    "429": [status(429)],
    "429once": [status(429, first=1)],
    "429limit": [status(429, headers=LIMIT)],
    "500": [status(500)],
    "529": [status(529)],
    "hang": [dict(kind="hang", where="headers")],
    "hangbody": [dict(kind="hang", where="body")],
    "hangmid": [dict(kind="hang", where="middle")],
    "cut": [dict(kind="cut")],
    "maxtokens": [say("This answer was cut of", stop="max_tokens")],
    "subagent": [dict(kind="tool", names=["Agent", "Task"], arguments={
        "description": "sub", "prompt": "say hi @@ok", "subagent_type": "general-purpose"}),
        say("The helper is back.")],
}


def steps_of(prompt, default):
    """The name and the steps of the scenario that a prompt asks for."""
    # An agent that shows its prompt in quotes closes them at the end.
    marks = re.findall(r'@@(\w+)(?: ([^\n"]*))?', prompt)
    name, argument = marks[-1] if marks else (default, "")
    if name == "shell":
        return name, [shell(argument), say("Done.")]
    if name == "write":
        return name, [dict(kind="write", path=argument), say("Written.")]
    if name == "background":
        return name, [dict(kind="tool", names=["Bash"], arguments={
            "command": argument, "description": "background", "run_in_background": True}),
            say("Left it running.")]
    return name, SCENARIOS.get(name, SCENARIOS["ok"])


told_lock = threading.Lock()
attempts = {}


def tell(**event):
    with told_lock:
        print(json.dumps(event), flush=True)


def count(scenario):
    """Counts a request: its number, and which of its scenario it is."""
    with told_lock:
        attempts[scenario] = attempts.get(scenario, 0) + 1
        return sum(attempts.values()), attempts[scenario]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send_json(self, code, value, headers=None):
        data = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def open_stream(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def raw(self, text):
        data = text.encode()
        self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")
        self.wfile.flush()

    def event(self, name, value):
        head = f"event: {name}\n" if name else ""
        self.raw(f"{head}data: {json.dumps(value)}\n\n")

    def end_stream(self):
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def hold(self, number):
        """Keeps the connection open until the agent closes it."""
        self.connection.settimeout(HANG_SECONDS_MAX)
        try:
            while self.connection.recv(1):
                pass
        except OSError:
            pass
        tell(event="gone", number=number)
        self.close_connection = True

    def tell_partial(self):
        tell(event="partial", number=self.number)

    def body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0].strip() or b"0", 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self):
        if "/models" in self.path:
            return self.send_json(200, {"object": "list", "data": [], "models": []})
        self.send_json(404, {"error": {"type": "not_found_error", "message": "no such path"}})

    def do_POST(self):
        self.number = 0
        try:
            self.post()
        except (BrokenPipeError, ConnectionResetError):
            tell(event="gone", number=self.number)
            self.close_connection = True

    def post(self):
        data = self.body()
        path = self.path.split("?")[0]
        found = re.match(r"/x/([^/]+)(/.*)$", path)
        default, rest = found.groups() if found else ("ok", path)
        if rest.endswith("/count_tokens"):
            return self.send_json(200, {"input_tokens": len(data) // 4})
        if rest.endswith(":countTokens"):
            return self.send_json(200, {"totalTokens": len(data) // 4})
        dialect = next((dialect for dialect in DIALECTS if re.search(dialect.path, rest)), None)
        if not dialect:
            return self.send_json(404, {"error": {"type": "not_found_error", "message": "no such path"}})
        body = json.loads(data or b"{}")
        entries = list(dialect.read(body))
        prompts = [text for kind, text in entries if kind == "prompt"]
        results = 0
        for kind, _ in entries:
            results = results + 1 if kind == "result" else 0
        scenario, steps = steps_of(prompts[-1] if prompts else "", default)
        tools = tools_of(body)
        if not tools:
            tell(event="side", scenario=scenario)
            return dialect(self, body, prompts, tools).text("a side answer", {})
        self.number, attempt = count(scenario)
        tell(event="request", number=self.number, scenario=scenario, attempt=attempt,
             prompts=len(prompts), results=results)
        step = steps[min(results, len(steps) - 1)]
        dialect(self, body, prompts, tools).answer(step, attempt)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        # An agent that was killed is no error of this server's.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main():
    if "--refuse" in sys.argv:
        closed = socket.socket()
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    else:
        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
    print(port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
