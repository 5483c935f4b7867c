"""A client on paho-mqtt 1 or 2. CLIENT (JSON) says where and how; lines of JSON on both sides, see json-process.ts."""
import hashlib
import hmac
import json
import os
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

config = json.loads(os.environ["CLIENT"])
VERSIONS = {"3.1": mqtt.MQTTv31, "3.1.1": mqtt.MQTTv311, "5.0": mqtt.MQTTv5}


def say(event, **fields):
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def code(reason):
    return getattr(reason, "value", reason)


def signed(device):
    """Client Identifier, user name and password of a device, as its vendor's documents describe them."""
    product_key, name = device["productKey"], device["deviceName"]
    content = f"clientId{name}deviceName{name}productKey{product_key}"
    password = hmac.new(device["deviceSecret"].encode(), content.encode(), hashlib.sha256).hexdigest()
    return f"{name}|securemode=3,signmethod=hmacsha256|", f"{name}&{product_key}", password


client_id, username, password = config["clientId"], None, None
if "device" in config:
    client_id, username, password = signed(config["device"])
options = {"client_id": client_id, "protocol": VERSIONS[config["version"]], "transport": config["transport"]}
if hasattr(mqtt, "CallbackAPIVersion"):
    options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION1
client = mqtt.Client(**options)
if username:
    client.username_pw_set(username, password)
if "ca" in config:
    client.tls_set(ca_certs=config["ca"])
if "will" in config:
    client.will_set(**config["will"])


def on_connect(_client, _data, _flags, reason, _properties=None):
    say("connect", reason=code(reason))


def on_subscribe(_client, _data, _mid, granted, _properties=None):
    say("subscribed", granted=[code(one) for one in granted])


def on_message(_client, _data, message):
    fields = {"topic": message.topic, "payload": message.payload.decode(), "qos": message.qos}
    properties = getattr(message, "properties", None)
    say("message", **fields, retain=bool(message.retain), userProperty=getattr(properties, "UserProperty", []))


def publish(topic, payload, qos, retain=False, userProperty=None):
    properties = None
    if userProperty:
        properties = Properties(PacketTypes.PUBLISH)
        for pair in userProperty:
            properties.UserProperty = tuple(pair)
    client.publish(topic, payload, qos, retain, properties).wait_for_publish()
    say("published", payload=payload)


def end():
    client.disconnect()
    client.loop_stop()
    sys.exit(0)


client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
client.connect("localhost" if "ca" in config else "127.0.0.1", config["port"])
client.loop_start()
for line in sys.stdin:
    command = json.loads(line)
    name = command.pop("do")
    if name == "subscribe":
        client.subscribe(command["topic"], command["qos"])
    elif name == "publish":
        publish(**command)
    elif name == "end":
        end()
