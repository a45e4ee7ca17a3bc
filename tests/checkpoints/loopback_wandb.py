"""A wandb server on this machine that has a few artifacts: wandb's own client is what asks it."""

import base64
import hashlib
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PROJECT = {"id": "p", "internalId": "1", "name": "zoo", "entity": {"name": "me"}}
VIEWER = {"id": "u", "entity": "me", "username": "me", "email": "", "flags": "{}", "teams": {"edges": []}}


class Wandb(ThreadingHTTPServer):
    """Serves the files of each of its `artifacts` in me/zoo, as v0 and as latest.

    Attributes:
        artifacts: name of an artifact, its files by name.
        listed: name of an artifact, what wandb's manifest says of a file, where it is not the truth.
        served: names of the files whose bytes were asked for.
        unknown: operations that it was asked for and does not know.
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.artifacts = {"tiny": {path.name: path.read_bytes() for path in root.iterdir()}}
        self.listed: dict[str, dict[str, dict[str, Any]]] = {}
        self.served: list[str] = []
        self.unknown: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no news."""

    def environment(self, home: Path) -> dict[str, str]:
        """The variables of a process that is to talk to this server."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
        own = {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": "a" * 40, "WANDB_ERROR_REPORTING": "false"}
        folders = {name: str(home) for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR")}
        return inherited | own | folders | {"WANDB_SILENT": "true", "NO_PROXY": "127.0.0.1,localhost"}

    def manifest(self, artifact: str) -> bytes:
        """What wandb keeps of an artifact's files."""
        contents = {
            name: {
                "digest": base64.b64encode(hashlib.md5(content).digest()).decode(),
                "size": len(content),
                "birthArtifactID": artifact,
                **self.listed.get(artifact, {}).get(name, {}),
            }
            for name, content in self.artifacts[artifact].items()
        }
        policy = {"storagePolicy": "wandb-storage-policy-v1", "storagePolicyConfig": {"storageLayout": "V2"}}
        return json.dumps({"version": 1, **policy, "contents": contents}).encode()


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Wandb

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = asked["query"].replace("(", " ").split()
        operation = asked.get("operationName") or text[1]
        self.say(json.dumps({"data": self.data(operation, asked.get("variables") or {})}).encode())

    def data(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        if operation in ("Viewer", "GetDefaultEntity"):
            return {"viewer": VIEWER}
        if operation == "ServerFeaturesQuery":
            return {"serverInfo": {"features": []}}
        if operation == "ArtifactMembershipByName":
            name = variables["name"].removesuffix(":v0").removesuffix(":latest")
            if name not in self.server.artifacts or variables["project"] != "zoo":
                return {"project": {"artifactCollectionMembership": None}}
            sequence = {"__typename": "ArtifactSequence", "id": "c", "name": name, "project": PROJECT}
            artifact = {
                "__typename": "Artifact",
                **{"id": name, "artifactSequence": sequence, "versionIndex": 0, "artifactType": {"name": "model"}},
                **{
                    "description": None,
                    "metadata": "{}",
                    "ttlDurationSeconds": -2,
                    "ttlIsInherited": False,
                    "tags": [],
                },
                **{"historyStep": None, "state": "COMMITTED", "size": 1, "digest": "d", "commitHash": "h"},
                **{
                    "fileCount": len(self.server.artifacts[name]),
                    "createdAt": "2026-01-01T00:00:00",
                    "updatedAt": None,
                },
                "aliases": [],
            }
            membership = {"__typename": "ArtifactCollectionMembership", "id": "m", "versionIndex": 0, "aliases": []}
            more = {"createdAt": "2026-01-01T00:00:00", "artifactCollection": sequence, "artifact": artifact}
            return {"project": {"artifactCollectionMembership": membership | more}}
        if operation == "FetchArtifactManifest":
            file = {"directUrl": f"{self.server.url}/manifest/{variables['id']}"}
            return {"artifact": {"currentManifest": {"id": "x", "file": file}}}
        self.server.unknown.append(operation)
        return {}

    def do_GET(self) -> None:
        *_, before, last = self.path.partition("?")[0].split("/")
        if before == "manifest":
            self.say(self.server.manifest(last))
            return
        self.server.served.append(last)
        self.say(self.server.artifacts[self.path.split("/")[-3]][last])

    def say(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Quiet."""
