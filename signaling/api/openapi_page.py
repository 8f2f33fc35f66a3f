"""The API as one page of plain HTML, without scripts and without anything from elsewhere."""

from __future__ import annotations

import json
from html import escape
from typing import Any

_STYLE = "/api-docs.css"
"""Part of the web app: inline styles are not allowed by the page's own policy."""


def render(document: dict[str, Any]) -> str:
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>',
        f"{escape(document['info']['title'])} API</title>",
        f'<link rel="stylesheet" href="{_STYLE}"></head><body><main>',
        f"<h1>{escape(document['info']['title'])} API {escape(document['info']['version'])}</h1>",
        f"<p>{escape(document['info']['description'])}</p>",
        '<p><a href="/api/openapi.json">openapi.json</a></p>',
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts += _operation(method, path, operation)
    parts.append("<h1>Types</h1>")
    for name, schema in document["components"]["schemas"].items():
        parts.append(f'<section id="{escape(name)}"><h2>{escape(name)}</h2>{_json(schema)}</section>')
    parts.append("</main></body></html>")
    return "".join(parts)


def _operation(method: str, path: str, operation: dict[str, Any]) -> list[str]:
    parts = [
        f"<section><h2><code>{escape(method.upper())} {escape(path)}</code></h2>",
        f"<p><strong>{escape(operation['summary'])}</strong> <em>{escape(operation['x-ting-access'])}</em></p>",
        f"<p>{escape(operation.get('description', ''))}</p>",
    ]
    for parameter in operation["parameters"]:
        if parameter["in"] == "query":
            parts.append(f"<p>Query <code>{escape(parameter['name'])}</code>: {_json(parameter['schema'])}</p>")
    if "requestBody" in operation:
        parts.append(f"<p>Body: {_type(operation['requestBody']['content'])}</p>")
    parts.append("<dl>")
    for status, response in operation["responses"].items():
        kind = _type(response["content"]) if "content" in response and not status.startswith(("4", "5")) else ""
        parts.append(f"<dt>{escape(status)}</dt><dd>{escape(response['description'])} {kind}</dd>")
    parts.append("</dl></section>")
    return parts


def _type(content: dict[str, Any]) -> str:
    if "application/json" not in content:
        return " or ".join(f"<code>{escape(media_type)}</code>" for media_type in content)
    reference = content["application/json"]["schema"].get("$ref", "")
    name = reference.rpartition("/")[2]
    return f'<a href="#{escape(name)}">{escape(name)}</a>'


def _json(schema: dict[str, Any]) -> str:
    return f"<pre>{escape(json.dumps(schema, indent=1))}</pre>"
