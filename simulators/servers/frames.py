"""Modbus framing, written by hand from the Modbus serial line guide V1.02 and the Modbus application protocol V1.1b3.

Numbers on the wire are big-endian; the CRC alone goes low byte first.
"""

from __future__ import annotations

LONGEST_RTU = 256
LONGEST_TCP = 260


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_TABLE = _crc_table()


def crc16(data: bytes) -> bytes:
    """CRC-16 of a serial line frame (polynomial 0xA001 reflected, start 0xFFFF), low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return bytes((crc & 0xFF, crc >> 8))


def pack_rtu(unit: int, pdu: bytes) -> bytes:
    """One serial line frame."""
    body = bytes((unit,)) + pdu
    return body + crc16(body)


def request_length(frame: bytes) -> int | None:
    """How long the RTU request that begins here is, CRC included; None while that cannot be said yet, 0 for never.

    Function codes 1 to 6 have a fixed length, 15 and 16 carry a byte count. 70 (0x46) is ICP DAS's own; only its
    sub-functions without data are known here.
    """
    if len(frame) < 2:
        return None
    function = frame[1]
    if 1 <= function <= 6:
        return 8
    if function in (15, 16):
        return None if len(frame) < 7 else 9 + frame[6]
    if function == 70:
        return 5
    return 0


def take_rtu(buffer: bytearray) -> tuple[int, bytes] | None:
    """Take the first whole request off the buffer: its unit and PDU. None if there is none.

    What cannot be the beginning of a request with a good CRC is dropped byte by byte.
    """
    while len(buffer) >= 4:
        head = bytes(buffer[:LONGEST_RTU])
        length = request_length(head)
        if length is None or length > len(head):
            if length is not None and length > LONGEST_RTU:
                del buffer[0]
                continue
            return None
        if length and crc16(head[: length - 2]) == head[length - 2 : length]:
            del buffer[:length]
            return head[0], head[1 : length - 2]
        del buffer[0]
    return None


def take_tcp(buffer: bytearray) -> tuple[int, int, bytes] | None:
    """Take the first whole Modbus TCP request off the buffer: transaction, unit and PDU. None if there is none.

    Raises ValueError if what comes is not Modbus TCP: the connection is then worthless.
    """
    if len(buffer) < 8:
        return None
    if buffer[2] or buffer[3]:
        raise ValueError("protocol identifier is not 0")
    length = int.from_bytes(buffer[4:6], "big")
    if not 2 <= length <= LONGEST_TCP - 6:
        raise ValueError(f"length field {length}")
    if len(buffer) < 6 + length:
        return None
    transaction, unit, pdu = int.from_bytes(buffer[:2], "big"), buffer[6], bytes(buffer[7 : 6 + length])
    del buffer[: 6 + length]
    return transaction, unit, pdu


def pack_tcp(transaction: int, unit: int, pdu: bytes) -> bytes:
    """One Modbus TCP frame."""
    return transaction.to_bytes(2, "big") + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big") + bytes((unit,)) + pdu
