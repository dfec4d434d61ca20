"""The servers that speak a simulated device's real bytes: TCP sockets and ptys carrying text lines or Modbus.

They run in any asyncio loop. In virtual time they are handed the loop's Flight and count each byte they read and
write; in real time they are handed none.
"""
