"""Verifies a delivery with `standardwebhooks`, as its receiver would.

Standard input: {"secret": "whsec_...", "headers": {...}, "body": "the exact text"}. A changed body, another id and another
secret must not pass. Prints the body's JSON.
"""

import base64
import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

delivery = json.load(sys.stdin)
secret, headers, body = delivery["secret"], delivery["headers"], delivery["body"]
verified = Webhook(secret).verify(body, headers)
headers = {name.lower(): value for name, value in headers.items()}
for forged in [
    (secret, headers, body + " "),
    (secret, {**headers, "webhook-id": "msg_other"}, body),
    (secret, {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}, body),
    ("whsec_" + base64.b64encode(b"another secret").decode(), headers, body),
]:
    try:
        Webhook(forged[0]).verify(forged[2], forged[1])
    except WebhookVerificationError:
        continue
    raise AssertionError(f"a forged delivery passes: {forged[1:]}")
print(json.dumps(verified))
