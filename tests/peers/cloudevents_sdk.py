"""Sends events made by the Python SDK of CloudEvents to a script that returns its arguments."""

import base64
import json
import os
from datetime import datetime, timezone

import httpx
from cloudevents.core.bindings import http
from cloudevents.core.bindings.http import HTTPMessage
from cloudevents.core.v1.event import CloudEvent

SCRIPT = f"/api/w/{os.environ['WM_WORKSPACE']}/jobs/run_wait_result/p/{os.environ['SCRIPTS']}/echo?include_query=op&op=echo"
client = httpx.Client(
    base_url=os.environ["BASE_INTERNAL_URL"], headers={"Authorization": f"Bearer {os.environ['WM_TOKEN']}"}, trust_env=False
)


def post(message):
    return client.post(SCRIPT, headers=message.headers, content=message.body)


def sent(message):
    """The arguments that the script got, and the event's attributes apart from them."""
    answer = post(message)
    assert answer.status_code == 200, answer.text
    arguments = answer.json()
    assert arguments.pop("op") == "echo"
    return arguments, arguments.pop("WEBHOOK__METADATA__")


def event(data=None, **attributes):
    known = {"id": "7", "source": "/shop/cart", "type": "com.example.order", "time": datetime(2026, 1, 31, 9, tzinfo=timezone.utc)}
    return CloudEvent(attributes={**known, **attributes}, data=data)


PLAIN = {"specversion": "1.0", "id": "7", "source": "/shop/cart", "type": "com.example.order", "time": "2026-01-31T09:00:00Z"}
JSON, TEXT, PNG = "application/json", "text/plain", "image/png"
order = {"sku": "a-1", "count": 2, "price": 1.5, "notes": ["ä", None]}
both = [http.to_structured_event, http.to_binary_event]

for to_message in both:
    # JSON data: an object's keys are the arguments, anything else is one of them.
    assert sent(to_message(event(order, datacontenttype=JSON))) == (order, {**PLAIN, "datacontenttype": JSON})
    assert sent(to_message(event([1, 2], datacontenttype=JSON)))[0] == {"body": [1, 2]}
    # Extensions, and values that are not ASCII or look like an escape: as they were, in both modes.
    odd = {"subject": 'Größe "M" 100%', "comexampleextension": "日本 🦀", "traceparent": "00-af%2Fb"}
    assert sent(to_message(event(order, datacontenttype=JSON, **odd)))[1] == {**PLAIN, **odd, "datacontenttype": JSON}
    # No data at all.
    arguments, metadata = sent(to_message(event()))
    assert (arguments, metadata["id"]) == ({}, "7"), (arguments, metadata)

# Text: in the envelope it is a JSON string, beside the headers it is a body.
assert sent(http.to_structured_event(event("hällo", datacontenttype=TEXT))) == ({"body": "hällo"}, {**PLAIN, "datacontenttype": TEXT})
assert sent(http.to_binary_event(event("hällo", datacontenttype=TEXT))) == ({"raw_string": "hällo"}, {**PLAIN, "datacontenttype": TEXT})

# Bytes: base64 either way.
png = b"\x89PNG\r\n\x1a\n\x00\xff"
coded = base64.b64encode(png).decode()
message = http.to_structured_event(event(png, datacontenttype=PNG))
assert json.loads(message.body)["data_base64"] == coded, "the SDK sends bytes as data_base64"
assert sent(message) == ({"raw_base64": coded}, {**PLAIN, "datacontenttype": PNG})
assert sent(http.to_binary_event(event(png, datacontenttype=PNG)))[0] == {"raw_base64": coded, "content_type": PNG}

# A job keeps the event as it came.
structured = http.to_structured_event(event(order, datacontenttype=JSON))
queued = client.post(SCRIPT.replace("run_wait_result", "run"), headers=structured.headers, content=structured.body)
assert queued.status_code == 201, queued.text
kept = client.get(f"/api/w/{os.environ['WM_WORKSPACE']}/jobs_u/get_args/{queued.text}").json()
assert kept == {**order, "WEBHOOK__METADATA__": {**PLAIN, "datacontenttype": JSON}, "op": "echo"}, kept

# The SDK reads back what the script was given.
back = http.from_structured_event(HTTPMessage({}, json.dumps({**kept["WEBHOOK__METADATA__"], "data": order}).encode()))
assert (back.get_data(), back.get_time()) == (order, datetime(2026, 1, 31, 9, tzinfo=timezone.utc)), back.get_attributes()

# What is no event, or more than one.
batch = [json.loads(http.to_structured_event(event(order)).body)] * 2
refused = post(HTTPMessage({"content-type": "application/cloudevents-batch+json"}, json.dumps(batch).encode()))
assert refused.status_code == 400 and "Batches of CloudEvents are not supported" in refused.json()["detail"], refused.text
assert refused.headers["content-type"] == "application/problem+json"
for required in ["id", "source", "type", "specversion"]:
    envelope = json.loads(structured.body)
    del envelope[required]
    refused = post(HTTPMessage(structured.headers, json.dumps(envelope).encode()))
    assert refused.status_code == 400 and f"lacks {required};" in refused.json()["detail"], refused.text
    binary = http.to_binary_event(event(order, datacontenttype=JSON))
    headers = {name: value for name, value in binary.headers.items() if name != f"ce-{required}"}
    refused = post(HTTPMessage(headers, binary.body))
    assert refused.status_code == 400 and f"lacks {required};" in refused.json()["detail"], refused.text

# The handshake by which a sender asks for consent (HTTP 1.1 Web Hooks for Event Delivery, 4).
asked = client.options(SCRIPT, headers={"WebHook-Request-Origin": "eventemitter.example.com", "WebHook-Request-Rate": "120"})
assert asked.status_code == 200, asked.text
assert asked.headers["webhook-allowed-origin"] == "eventemitter.example.com" and asked.headers["webhook-allowed-rate"] == "*"
assert "POST" in asked.headers["allow"], asked.headers
