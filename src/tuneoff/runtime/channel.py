"""Messages between the processes of one training: a JSON value and named tensors, over a socket and without pickle."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from torch import Tensor

SIZES = struct.Struct("<QQ")  # of the JSON and of the tensors, in bytes


@final
class Channel:
    """One end of a connection between two processes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, values: Mapping[str, Any], tensors: Mapping[str, Tensor] | None = None) -> None:
        """Send a message.

        Args:
            values: JSON; a number that is not finite is sent as it is.
            tensors: on the CPU.

        Raises:
            OSError: the other process has ended, or does not read.
        """
        from safetensors.torch import save

        header, payload = json.dumps(values).encode(), save(dict(tensors)) if tensors else b""
        self._connection.sendall(SIZES.pack(len(header), len(payload)) + header)
        self._connection.sendall(payload)

    def receive(self, seconds: float | None = None) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Wait for a message, and return its values and tensors.

        Args:
            seconds: to wait from now on; None: as long as the socket does.

        Raises:
            EOFError: the other process has ended.
            TimeoutError: nothing came for as long as the socket waits.
        """
        from safetensors.torch import load

        if seconds is not None:
            self._connection.settimeout(seconds)
        header_bytes, payload_bytes = SIZES.unpack(self._read(SIZES.size))
        values = json.loads(self._read(header_bytes))
        return values, load(self._read(payload_bytes)) if payload_bytes else {}

    def close(self) -> None:
        """Close this end, at which the other one finds the end of the file."""
        self._connection.close()

    def _read(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            try:
                part = self._connection.recv(min(size - len(parts), 2**20))
            except ConnectionError:
                part = b""
            if not part:
                raise EOFError("the other process has ended")
            parts += part
        return bytes(parts)
