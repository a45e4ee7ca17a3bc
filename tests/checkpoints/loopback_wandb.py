"""A wandb server on this machine that has a few artifacts: wandb's own client is what asks it."""

import base64
import hashlib
import json
import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PROJECT = {"id": "p", "internalId": "1", "name": "zoo", "entity": {"name": "me"}}
SIGNATURE = "X-Goog-Signature=secret"
VIEWER = {"id": "u", "entity": "me", "username": "me", "email": "", "flags": "{}", "teams": {"edges": []}}


class Wandb(ThreadingHTTPServer):
    """Serves the files of each of its `artifacts` in me/zoo, as v0 and as latest.

    Attributes:
        artifacts: name of an artifact, its files by name.
        listed: name of an artifact, what wandb's manifest says of a file, where it is not the truth.
        served: name and Range header of every file whose bytes were asked for.
        cut: name of a file of which the next answer breaks off after that many bytes.
        broken: name of a file of which the next answer is an error.
        unknown: operations that it was asked for and does not know.
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.artifacts = {"tiny": {path.name: path.read_bytes() for path in root.iterdir()}}
        self.listed: dict[str, dict[str, dict[str, Any]]] = {}
        self.served: list[tuple[str, str | None]] = []
        self.cut: dict[str, int] = {}
        self.broken: str | None = None
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
        text = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/graphql":  # what a run streams of itself
            self.say(b"{}")
            return
        asked = json.loads(text)
        operation = asked.get("operationName") or asked["query"].replace("(", " ").split()[1]
        answer = self.data(operation, asked.get("variables") or {})
        if answer is None:
            self.server.unknown.append(operation)
        self.say(json.dumps({"data": answer or {}}).encode())

    def data(self, operation: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        """What wandb says; None to an operation that is not known here."""
        server, given = self.server, asked.get("input", {})
        match operation:
            case "Viewer" | "GetDefaultEntity":
                return {"viewer": VIEWER}
            case "ServerFeaturesQuery":
                return {"serverInfo": {"features": []}}
            case "ArtifactMembershipByName":
                name = asked["name"].removesuffix(":v0").removesuffix(":latest")
                known = name in server.artifacts and asked["project"] == "zoo"
                return {"project": {"artifactCollectionMembership": self.membership(name) if known else None}}
            case "FetchArtifactManifest":
                file = {"directUrl": f"{server.url}/manifest/{asked['id']}"}
                return {"artifact": {"currentManifest": {"id": asked["id"], "file": file}}}
            case "ArtifactMembershipFiles":
                names = [name for name in asked["fileNames"] if name in server.artifacts[asked["collection"]]]
                nodes = [{"node": self.file(asked["collection"], name)} for name in names]
                page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
                membership = {"files": {"totalCount": len(nodes), "pageInfo": page, "edges": nodes}}
                sequence = {"__typename": "ArtifactSequence", "artifactMembership": membership}
                return {"project": {"artifactCollection": sequence}}
            case "UpsertBucket":
                project = {"id": "p", "name": "zoo", "entity": {"id": "e", "name": "me"}}
                run = {"id": "r", "name": asked["name"], "displayName": "publish", "description": "", "config": "{}"}
                bucket = {**run, "sweepName": None, "project": project, "historyLineCount": 0}
                return {"upsertBucket": {"bucket": bucket, "inserted": True}}
            case "OrganizationCoreWeaveOrganizationID":
                return {"entity": {"organization": None}}
            case "ArtifactType":
                return {"project": {"artifact": None}}
            case "CreateRunFiles":
                return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": []}}
            case "CreateArtifact":
                name = given["artifactCollectionName"]
                server.artifacts[name] = {}
                made = {"id": name, "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
                return {"createArtifact": {"artifact": made}}
            case "CreateArtifactManifest":
                file = self.upload(asked["artifactID"], "wandb_manifest.json")
                return {"createArtifactManifest": {"artifactManifest": {"id": "x", "file": file}}}
            case "CreateArtifactFiles":
                nodes = [{"node": self.upload(each["artifactID"], each["name"])} for each in given["artifactFiles"]]
                return {"createArtifactFiles": {"files": {"edges": nodes}}}
            case "CommitArtifact":
                server.artifacts[asked["artifactID"]].pop("wandb_manifest.json")
                return {"commitArtifact": {"artifact": {"id": asked["artifactID"], "digest": "d"}}}
            case "ArtifactByID":
                return {"artifact": self.artifact(asked["id"])}
        return None

    def artifact(self, name: str) -> dict[str, Any]:
        sequence = {"__typename": "ArtifactSequence", "id": "c", "name": name, "project": PROJECT}
        return {
            "__typename": "Artifact",
            **{"id": name, "artifactSequence": sequence, "versionIndex": 0, "artifactType": {"name": "model"}},
            **{"description": None, "metadata": "{}", "ttlDurationSeconds": -2, "ttlIsInherited": False, "tags": []},
            **{"historyStep": None, "state": "COMMITTED", "size": 1, "digest": "d", "commitHash": "h", "aliases": []},
            **{"createdAt": "2026-01-01T00:00:00", "updatedAt": None, "fileCount": len(self.server.artifacts[name])},
        }

    def membership(self, name: str) -> dict[str, Any]:
        artifact = self.artifact(name)
        membership = {"__typename": "ArtifactCollectionMembership", "id": "m", "versionIndex": 0, "aliases": []}
        more = {"createdAt": "2026-01-01T00:00:00", "artifactCollection": artifact["artifactSequence"]}
        return {**membership, **more, "artifact": artifact}

    def file(self, artifact: str, name: str) -> dict[str, Any]:
        """Where a file is to be had: at an address that is signed for a while."""
        size = len(self.server.artifacts[artifact][name])
        node = {"__typename": "File", "id": name, "name": name, "url": None, "sizeBytes": size, "storagePath": None}
        signed = f"{self.server.url}/files/{artifact}/{name}?{SIGNATURE}"
        return {**node, "mimetype": None, "updatedAt": None, "digest": None, "md5": None, "directUrl": signed}

    def upload(self, artifact: str, name: str) -> dict[str, Any]:
        """Where a file is to be sent."""
        url = f"{self.server.url}/upload/{artifact}/{name}"
        node = {"id": name, "name": name, "displayName": name, "uploadUrl": url, "uploadHeaders": []}
        return {**node, "uploadMultipartUrls": None, "storagePath": name, "artifact": {"id": artifact}}

    def do_PUT(self) -> None:
        artifact, name = self.path.split("/")[-2:]
        self.server.artifacts[artifact][name] = self.rfile.read(int(self.headers["Content-Length"]))
        self.say(b"")

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        *_, before, last = path.split("/")
        if before == "manifest":
            self.say(self.server.manifest(last))
            return
        if query != SIGNATURE or last == self.server.broken:
            self.server.broken = None
            self.say(b"{}", 403)
            return
        content, asked = self.server.artifacts[before][last], self.headers.get("Range")
        self.server.served.append((last, asked))
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        span = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if asked else {}
        end = self.server.cut.pop(last, None)
        self.say(content[start:], 206 if asked else 200, span, end)

    def say(
        self, content: bytes, status: int = 200, more: dict[str, str] | None = None, end: int | None = None
    ) -> None:
        """Answer, or break off after `end` bytes."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(more or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:end])
        if end is not None:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Quiet."""
