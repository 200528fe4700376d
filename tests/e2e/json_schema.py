"""JSON Schema 2020-12, as far as Sluice writes it, for judging what it infers: `problems(schema, value)`. Formats are asserted."""
import datetime
import re
import uuid


def is_format(name, text):
    try:
        if name == "date":
            datetime.date.fromisoformat(text)
        elif name == "date-time":
            datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        elif name == "uuid":
            return str(uuid.UUID(text)) == text.lower()
        elif name == "email":
            return re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text) is not None
        elif name == "uri":
            return re.match(r"https?://[^/\s]+", text) is not None
        elif name == "ipv4":
            return re.fullmatch(r"\d+\.\d+\.\d+\.\d+", text) is not None
        return True
    except ValueError:
        return False


def is_type(name, value):
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return {"null": value is None, "boolean": isinstance(value, bool), "integer": number and float(value).is_integer(), "number": number,
            "string": isinstance(value, str), "array": isinstance(value, list), "object": isinstance(value, dict)}[name]


def problems(schema, value, where=""):
    found = []
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(is_type(name, value) for name in types):
        return [f"{where} is no {types}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where} is none of {schema['enum']}")
    if isinstance(value, str) and not is_format(schema.get("format"), value):
        found.append(f"{where} is no {schema['format']}")
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += problems(schema.get("items", {}), item, f"{where}/{index}")
    if isinstance(value, dict):
        found += [f"{where} has no {name}" for name in schema.get("required", []) if name not in value]
        for name, member in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            found += problems(inner, member, f"{where}/{name}")
    return found
