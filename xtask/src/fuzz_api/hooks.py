"""What `cargo xtask fuzz-api` lets schemathesis do: it asks whatever it likes, and runs nothing but `true`.

Argument vectors that a fuzzer makes up would be real programs. So each request is made harmless at the
last moment before it is sent, whoever made it and however wrong it is meant to be.
"""

import os
import random
from collections import deque

import schemathesis

# The one folder that sessions run in, and the one folder that programs are looked for in.
FOLDER = os.environ["CANDOR_FUZZ_FOLDER"]
PROGRAMS = os.environ["CANDOR_FUZZ_PROGRAMS"]

# What would wait for what is still to come.
ENDLESS = {"follow"}

# Ids that nobody could guess, of sessions that there are: the newest of them.
KNOWN = deque(maxlen=50)

# How often a guessed id gives its place to one of a session that there is.
KNOWN_SHARE = 0.7

# How often a launch of an agent, of which none is installed, is made one of a command.
COMMAND_SHARE = 0.8

CHOICE = random.Random(0)


def words(command):
    """Leaves what is refused anyway as wrong as it is, and of the rest nothing but `true`."""
    if not isinstance(command, list) or not command:
        return command
    if all(isinstance(word, (str, dict)) for word in command):
        return ["true"]
    return ["true" if isinstance(word, str) else word for word in command]


def harmless(body):
    body = dict(body)
    if "command" in body:
        body["command"] = words(body["command"])
    if isinstance(body.get("cwd"), (dict, str)):
        body["cwd"] = FOLDER
    if isinstance(body.get("environment"), list):
        body["environment"] = [["PATH", PROGRAMS]]
    body.pop("program", None)
    if isinstance(body.get("agent"), dict) and CHOICE.random() < COMMAND_SHARE:
        del body["agent"]
    elif isinstance(body.get("agent"), dict):
        body["agent"] = {k: v for k, v in body["agent"].items() if k != "program"}
    return body


@schemathesis.hook
def before_call(context, case, kwargs):
    if isinstance(case.body, dict):
        case.body = harmless(case.body)
    if isinstance(case.query, dict):
        case.query = {name: value for name, value in case.query.items() if name not in ENDLESS}
    if KNOWN and "id" in (case.path_parameters or {}) and CHOICE.random() < KNOWN_SHARE:
        case.path_parameters["id"] = CHOICE.choice(KNOWN)
    for name in list(case.headers or {}):
        # A stream of events is endless by its nature.
        if name.lower() == "accept":
            del case.headers[name]


@schemathesis.hook
def after_call(context, case, response):
    if case.operation.label == "POST /v1/sessions" and response.status_code == 201:
        KNOWN.append(response.json()["id"])
