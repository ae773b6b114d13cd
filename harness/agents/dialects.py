"""The dialects of the mock: how each reads a request, and says what it is told to say."""
import json
import re
import socket
import time
import uuid


def text_of(content):
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text") or "" for part in content or [] if isinstance(part, dict))


# What a request shows: the entries of its conversation that are the user's, as ("prompt", text) and
# ("result", None), and its tools by name.
def read_anthropic(body):
    for message in body.get("messages", []):
        if message.get("role") != "user":
            continue
        content = message.get("content")
        parts = content if isinstance(content, list) else []
        is_result = any(isinstance(part, dict) and part.get("type") == "tool_result" for part in parts)
        yield ("result", None) if is_result else ("prompt", text_of(content))


def read_responses(body):
    items = body.get("input", [])
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    for item in items:
        if item.get("type", "message") == "message" and item.get("role") == "user":
            yield "prompt", text_of(item.get("content"))
        elif item.get("type", "").endswith("_call_output"):
            yield "result", None


def read_chat(body):
    for message in body.get("messages", []):
        if message.get("role") == "user":
            yield "prompt", text_of(message.get("content"))
        elif message.get("role") == "tool":
            yield "result", None


def read_gemini(body):
    for content in body.get("contents", []):
        if content.get("role") not in (None, "user", "function"):
            continue
        # Prompts that follow on each other come as parts of one entry.
        for part in content.get("parts", []):
            if "functionResponse" in part:
                yield "result", None
            elif "text" in part:
                yield "prompt", part["text"]


def tools_of(body):
    tools = {}
    for tool in body.get("tools", []):
        for entry in tool.get("functionDeclarations", [tool.get("function", tool)]):
            tools[entry.get("name") or entry.get("type")] = entry
    return tools


SHELLS = ("Bash", "bash", "exec_command", "shell_command", "run_shell_command", "shell", "local_shell")


def shell_call(tools, command):
    """The name and arguments by which this agent is made to run a command."""
    name = next((name for name in SHELLS if name in tools), "Bash")
    spec = tools.get(name) or {}
    schema = spec.get("input_schema") or spec.get("parameters") or spec.get("parametersJsonSchema") or {}
    properties = schema.get("properties", {})
    key = "cmd" if "cmd" in properties and "command" not in properties else "command"
    is_list = properties.get(key, {}).get("type") in ("array", "ARRAY")
    arguments = {key: ["bash", "-lc", command] if is_list else command}
    for limit in ("timeout", "timeout_ms", "yield_time_ms"):
        if limit in properties:
            arguments[limit] = 600000
    if "description" in properties:
        arguments["description"] = "a step"
    return name, arguments


def write_call(tools, path):
    """The name and arguments by which this agent is made to write a file."""
    for name, key in (("Write", "file_path"), ("write_file", "file_path"), ("write", "filePath")):
        if name in tools:
            return name, {key: path, "content": "written\n"}
    return shell_call(tools, f"echo written > {path}")


ERRORS = {
    400: ("invalid_request_error", "mock bad request"),
    401: ("authentication_error", "invalid x-api-key"),
    429: ("rate_limit_error", "mock rate limit: number of requests has exceeded your limit"),
    500: ("api_error", "Internal server error"),
    529: ("overloaded_error", "Overloaded"),
}


class Dialect:
    def __init__(self, handler, body, prompts, tools):
        self.http, self.prompts, self.tools = handler, prompts, tools
        self.model = body.get("model") or "mock-model"
        self.streams = bool(body.get("stream"))
        self.id = "mock_" + uuid.uuid4().hex[:12]

    def answer(self, step, attempt):
        kind = step["kind"]
        if kind == "status" and attempt <= step.get("first", attempt):
            return self.error(step["code"], step.get("headers"))
        if kind == "status":
            return self.text("Recovered.", step)
        if kind == "recall":
            return self.text(f"I was shown {len(self.prompts)} prompts.", step)
        if kind == "text":
            return self.text(step["text"], step)
        if kind == "shell":
            return self.tool(*shell_call(self.tools, step["command"]))
        if kind == "write":
            return self.tool(*write_call(self.tools, step["path"]))
        if kind == "tool":
            name = next((name for name in step["names"] if name in self.tools), step["names"][0])
            return self.tool(name, step["arguments"])
        return self.break_off(kind, step)

    def break_off(self, kind, step):
        """Answers in a way that is no answer."""
        if kind == "hang" and step["where"] == "headers":
            return self.http.hold(self.http.number)
        self.http.open_stream()
        if kind == "cut" or step["where"] == "middle":
            self.partial()
            self.http.tell_partial()
        if kind == "hang":
            return self.http.hold(self.http.number)
        self.http.connection.shutdown(socket.SHUT_RDWR)
        self.http.close_connection = True

    def error(self, code, headers=None):
        kind, message = ERRORS[code]
        self.http.send_json(code, {"type": "error", "error": {
            "type": kind, "message": message, "param": None, "code": kind}}, headers)

    def chunks(self, answer, step):
        size = step.get("chunk") or 200
        for start in range(0, len(answer), size):
            yield answer[start:start + size]
            if step.get("delay_seconds"):
                if start == 0:
                    self.http.tell_partial()
                time.sleep(step["delay_seconds"])


class Anthropic(Dialect):
    path, read = r"/messages$", staticmethod(read_anthropic)

    def message(self, content, reason, tokens):
        return {"id": "msg_" + self.id, "type": "message", "role": "assistant", "model": self.model,
                "content": content, "stop_reason": reason, "stop_sequence": None,
                "usage": {"input_tokens": 1200, "cache_creation_input_tokens": 0,
                          "cache_read_input_tokens": 0, "output_tokens": tokens}}

    def event(self, kind, **more):
        self.http.event(kind, {"type": kind, **more})

    def begin(self):
        self.http.open_stream()
        self.event("message_start", message=self.message([], None, 1))

    def block(self, index, begin, deltas):
        self.event("content_block_start", index=index, content_block=begin)
        for delta in deltas:
            self.event("content_block_delta", index=index, delta=delta)
        self.event("content_block_stop", index=index)

    def end(self, reason, tokens):
        self.event("message_delta", delta={"stop_reason": reason, "stop_sequence": None},
                   usage={"output_tokens": tokens})
        self.event("message_stop")
        self.http.end_stream()

    def text(self, answer, step):
        reason = step.get("stop") or "end_turn"
        if not self.streams:
            content = [{"type": "text", "text": answer}]
            return self.http.send_json(200, self.message(content, reason, 9))
        self.begin()
        deltas = ({"type": "text_delta", "text": chunk} for chunk in self.chunks(answer, step))
        self.block(0, {"type": "text", "text": ""}, deltas)
        self.end(reason, max(1, len(answer) // 4))

    def tool(self, name, arguments):
        self.begin()
        self.block(0, {"type": "text", "text": ""}, [{"type": "text_delta", "text": "Using a tool."}])
        self.block(1, {"type": "tool_use", "id": "toolu_" + self.id, "name": name, "input": {}},
                   [{"type": "input_json_delta", "partial_json": json.dumps(arguments)}])
        self.end("tool_use", 40)

    def partial(self):
        self.event("message_start", message=self.message([], None, 1))
        self.event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        self.event("content_block_delta", index=0, delta={"type": "text_delta", "text": "I was about to"})


class Responses(Dialect):
    path, read = r"/responses$", staticmethod(read_responses)

    def event(self, kind, **more):
        self.http.event(kind, {"type": kind, **more})

    def begin(self):
        self.event("response.created", response={
            "id": self.id, "object": "response", "status": "in_progress", "model": self.model, "output": []})

    def end(self, item, tokens):
        self.event("response.output_item.done", output_index=0, item=item)
        self.event("response.completed", response={
            "id": self.id, "object": "response", "status": "completed", "model": self.model, "output": [item],
            "usage": {"input_tokens": 1200, "input_tokens_details": {"cached_tokens": 0},
                      "output_tokens": tokens, "output_tokens_details": {"reasoning_tokens": 0},
                      "total_tokens": 1200 + tokens}})
        self.http.end_stream()

    def message(self, answer, state):
        content = [{"type": "output_text", "text": answer, "annotations": []}] if answer else []
        return {"type": "message", "id": "msg_" + self.id, "role": "assistant", "status": state,
                "content": content}

    def deltas(self, chunks):
        self.event("response.output_item.added", output_index=0, item=self.message("", "in_progress"))
        for chunk in chunks:
            self.event("response.output_text.delta", item_id="msg_" + self.id, output_index=0,
                       content_index=0, delta=chunk)

    def text(self, answer, step):
        item = self.message(answer, "completed")
        if not self.streams:
            return self.http.send_json(200, {"id": self.id, "object": "response", "status": "completed",
                                             "output": [item]})
        self.http.open_stream()
        self.begin()
        self.deltas(self.chunks(answer, step))
        self.end(item, max(1, len(answer) // 4))

    def tool(self, name, arguments):
        self.http.open_stream()
        self.begin()
        self.end({"type": "function_call", "id": "fc_" + self.id, "name": name, "call_id": "call_" + self.id,
                  "arguments": json.dumps(arguments)}, 40)

    def partial(self):
        self.begin()
        self.deltas(["I was about to"])


class Chat(Dialect):
    path, read = r"/chat/completions$", staticmethod(read_chat)

    def chunk(self, delta, reason=None, tokens=None):
        value = {"id": self.id, "object": "chat.completion.chunk", "created": int(time.time()),
                 "model": self.model, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        if tokens:
            value["usage"] = {"prompt_tokens": 1200, "completion_tokens": tokens, "total_tokens": 1200 + tokens}
        self.http.event(None, value)

    def end(self, reason, tokens):
        self.chunk({}, reason, tokens)
        self.http.raw("data: [DONE]\n\n")
        self.http.end_stream()

    def text(self, answer, step):
        if not self.streams:
            message = {"role": "assistant", "content": answer}
            return self.http.send_json(200, {
                "id": self.id, "object": "chat.completion", "created": 0, "model": self.model,
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
        self.http.open_stream()
        self.chunk({"role": "assistant", "content": ""})
        for chunk in self.chunks(answer, step):
            self.chunk({"content": chunk})
        self.end("length" if step.get("stop") == "max_tokens" else "stop", max(1, len(answer) // 4))

    def tool(self, name, arguments):
        self.http.open_stream()
        self.chunk({"role": "assistant", "content": None, "tool_calls": [{
            "index": 0, "id": "call_" + self.id, "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)}}]})
        self.end("tool_calls", 40)

    def partial(self):
        self.chunk({"role": "assistant", "content": "I was about to"})


class Gemini(Dialect):
    path, read = r":(streamG|g)enerateContent$", staticmethod(read_gemini)
    STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL",
              529: "UNAVAILABLE"}

    def __init__(self, handler, *more):
        super().__init__(handler, *more)
        self.streams = ":streamGenerateContent" in handler.path

    def part(self, parts, reason=None, tokens=10):
        value = {"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}],
                 "modelVersion": self.model, "responseId": self.id}
        if reason:
            value["candidates"][0]["finishReason"] = reason
            value["usageMetadata"] = {"promptTokenCount": 1200, "candidatesTokenCount": tokens,
                                      "totalTokenCount": 1200 + tokens}
        return value

    def text(self, answer, step):
        if not self.streams:
            # What is asked beside the conversation is asked for as JSON: which model, who speaks next.
            answer = json.dumps({"reasoning": "mock", "model_choice": "flash", "complexity_reasoning": "mock",
                                 "complexity_score": 1, "next_speaker": "user"})
            return self.http.send_json(200, self.part([{"text": answer}], "STOP"))
        self.http.open_stream()
        for chunk in self.chunks(answer, step):
            self.http.event(None, self.part([{"text": chunk}]))
        reason = "MAX_TOKENS" if step.get("stop") == "max_tokens" else "STOP"
        self.http.event(None, self.part([{"text": ""}], reason, max(1, len(answer) // 4)))
        self.http.end_stream()

    def tool(self, name, arguments):
        self.http.open_stream()
        self.http.event(None, self.part([{"functionCall": {"name": name, "args": arguments}}], "STOP"))
        self.http.end_stream()

    def partial(self):
        self.http.event(None, self.part([{"text": "I was about to"}]))

    def error(self, code, headers=None):
        _, message = ERRORS[code]
        self.http.send_json(code, {"error": {"code": code, "message": message,
                                             "status": self.STATUS[code]}}, headers)


DIALECTS = (Anthropic, Responses, Chat, Gemini)
