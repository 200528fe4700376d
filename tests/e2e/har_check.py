"""Whether a JSON value is HAR 1.2: members, types and rules of the specification's section "HAR data structure". Members of one's own
begin with an underscore."""
import base64
import re

NUMBER, TEXT, FLAG = (int, float), str, bool
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
PAIR = {"name": TEXT, "value": TEXT, "comment?": TEXT}
COOKIE = {"name": TEXT, "value": TEXT, "path?": TEXT, "domain?": TEXT, "expires?": "time", "httpOnly?": FLAG, "secure?": FLAG,
          "comment?": TEXT}
TIMINGS = {"blocked?": "ms", "dns?": "ms", "connect?": "ms", "send": "past", "wait": "past", "receive": "past", "ssl?": "ms",
           "comment?": TEXT}
POST = {"mimeType": TEXT, "params?": [dict(PAIR)], "text": TEXT, "comment?": TEXT}
CONTENT = {"size": NUMBER, "compression?": NUMBER, "mimeType": TEXT, "text?": TEXT, "encoding?": TEXT, "comment?": TEXT}
REQUEST = {"method": TEXT, "url": TEXT, "httpVersion": TEXT, "cookies": [COOKIE], "headers": [PAIR], "queryString": [PAIR],
           "postData?": POST, "headersSize": NUMBER, "bodySize": NUMBER, "comment?": TEXT}
RESPONSE = {"status": NUMBER, "statusText": TEXT, "httpVersion": TEXT, "cookies": [COOKIE], "headers": [PAIR], "content": CONTENT,
            "redirectURL": TEXT, "headersSize": NUMBER, "bodySize": NUMBER, "comment?": TEXT}
ENTRY = {"pageref?": TEXT, "startedDateTime": "time", "time": "past", "request": REQUEST, "response": RESPONSE, "cache": {},
         "timings": TIMINGS, "serverIPAddress?": TEXT, "connection?": TEXT, "comment?": TEXT}
LOG = {"version": TEXT, "creator": {"name": TEXT, "version": TEXT, "comment?": TEXT}, "pages?": [{}], "entries": [ENTRY],
       "comment?": TEXT}


def problems(value, shape=None, where="log"):
    """Sentences; none: it is valid."""
    if shape is None:
        if not isinstance(value, dict) or set(value) != {"log"}:
            return ["a HAR is an object with the one member `log`"]
        found = problems(value["log"], LOG)
        return found or [p for i, e in enumerate(value["log"]["entries"]) for p in sense(e, f"entries[{i}]")]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{where} is no array"]
        return [p for i, item in enumerate(value) for p in problems(item, shape[0], f"{where}[{i}]")]
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{where} is no object"]
        known = {name.rstrip("?") for name in shape}
        found = [f"{where}.{name} is not of HAR 1.2" for name in value if name not in known and not name.startswith("_")]
        for name, inner in shape.items():
            if name.rstrip("?") in value:
                found += problems(value[name.rstrip("?")], inner, f"{where}.{name.rstrip('?')}")
            elif not name.endswith("?"):
                found.append(f"{where}.{name} is missing")
        return found
    if shape == "time":
        return [] if isinstance(value, str) and TIME.match(value) else [f"{where} is no ISO 8601 time: {value!r}"]
    if shape in ("ms", "past"):
        good = isinstance(value, NUMBER) and not isinstance(value, bool) and (value >= 0 or (shape == "ms" and value == -1))
        return [] if good else [f"{where} is no time in ms: {value!r}"]
    wanted = isinstance(value, shape) and (shape is FLAG or not isinstance(value, bool))
    return [] if wanted else [f"{where} has the wrong type: {value!r}"]


def sense(entry, where):
    """What types cannot say."""
    found = []
    timings = entry["timings"]
    total = sum(v for k, v in timings.items() if k in ("blocked", "dns", "connect", "send", "wait", "receive") and v > 0)
    if abs(total - entry["time"]) > 0.01:
        found.append(f"{where}.time is not the sum of its timings")
    if timings.get("ssl", -1) > timings.get("connect", -1):
        found.append(f"{where}.timings.ssl is no part of connect")
    content = entry["response"]["content"]
    if content.get("encoding") == "base64":
        if len(base64.b64decode(content["text"], validate=True)) != content["size"]:
            found.append(f"{where}: content.size is not that of the text")
    elif "text" in content and len(content["text"].encode()) != content["size"]:
        found.append(f"{where}: content.size is not that of the text")
    if not re.match(r"^(HTTP/\d(\.\d)?)?$", entry["request"]["httpVersion"]):
        found.append(f"{where}.request.httpVersion: {entry['request']['httpVersion']!r}")
    return found
