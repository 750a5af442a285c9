"""Makes the clips that `sluicegate load-test` publishes (crates/load/clips) with ffmpeg: run once by hand, the result is committed.

    python3 scripts/gen_clips.py        # wants ffmpeg with libvpx, libx264 and libopus

Each is an IVF file, H264 (one access unit a frame, Annex B) and Opus (one packet a frame) too: one reader is enough. The first
frame of a clip is its only key frame, so that jumping there is always right.
"""

import pathlib
import struct
import subprocess
import tempfile

CLIPS = pathlib.Path(__file__).resolve().parent.parent / "crates/load/clips"
SECONDS = 2
# (rid, width, height, frames a second, kbit/s): LiveKit's layers of a 720p camera
LAYERS = [("q", 320, 180, 15, 150), ("h", 640, 360, 30, 500), ("f", 1280, 720, 30, 1700)]


def ffmpeg(*args):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, args)], check=True)


def picture(width, height, rate):
    # a moving picture with a clock, scaled down from one source so that all layers show the same
    return ["-f", "lavfi", "-i", f"testsrc2=size=1280x720:rate={rate}:duration={SECONDS}", "-vf", f"scale={width}:{height}"]


def rate_control(kbps):
    return ["-b:v", f"{kbps}k", "-maxrate", f"{kbps}k", "-bufsize", f"{kbps}k", "-g", 9999, "-keyint_min", 9999]


def vp8(path, width, height, rate, kbps):
    # one partition and no alternate reference frames: what a browser's encoder makes of a camera
    ffmpeg(*picture(width, height, rate), "-c:v", "libvpx", *rate_control(kbps), "-deadline", "good", "-cpu-used", 2,
           "-auto-alt-ref", 0, "-lag-in-frames", 0, "-error-resilient", 1, "-pix_fmt", "yuv420p", "-f", "ivf", path)


def ivf(path, fourcc, width, height, rate, frames):
    header = struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, fourcc, width, height, rate, 1, len(frames), 0)
    body = b"".join(struct.pack("<IQ", len(frame), at) + frame for at, frame in enumerate(frames))
    path.write_bytes(header + body)


def h264(path, width, height, rate, kbps, scratch):
    stream = scratch / "clip.h264"
    ffmpeg(*picture(width, height, rate), "-c:v", "libx264", *rate_control(kbps), "-profile:v", "baseline", "-preset", "slow",
           "-x264-params", "aud=1:scenecut=0:bframes=0:slices=1:repeat-headers=1", "-pix_fmt", "yuv420p", "-f", "h264", stream)
    units = [unit.rstrip(b"\0") for unit in stream.read_bytes().split(b"\0\0\1")[1:]]
    frames = []
    for unit in units:
        kind = unit[0] & 0x1F
        if kind == 9:
            frames.append(b"")
        elif kind != 6:  # the encoder's own remarks are of no use
            frames[-1] += b"\0\0\0\1" + unit
    ivf(path, b"H264", width, height, rate, frames)


def opus_packets(data):
    """Packets of an Ogg file (RFC 3533) without the two headers of Opus."""
    packets, packet, at = [], b"", 0
    while at < len(data):
        count = data[at + 26]
        sizes = data[at + 27:at + 27 + count]
        at += 27 + count
        for size in sizes:
            packet += data[at:at + size]
            at += size
            if size < 255:
                packets.append(packet)
                packet = b""
    return packets[2:]


def opus(path, scratch):
    stream = scratch / "clip.ogg"
    tone = "sine=frequency=440:sample_rate=48000,tremolo=f=4:d=0.6,volume=4"
    ffmpeg("-f", "lavfi", "-i", tone, "-t", SECONDS, "-c:a", "libopus", "-b:a", "24k", "-frame_duration", 20, "-ac", 1, stream)
    ivf(path, b"OPUS", 0, 0, 50, opus_packets(stream.read_bytes())[:SECONDS * 50])


def main():
    CLIPS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        for rid, width, height, rate, kbps in LAYERS:
            vp8(CLIPS / f"vp8_{rid}.ivf", width, height, rate, kbps)
            h264(CLIPS / f"h264_{rid}.ivf", width, height, rate, kbps, scratch)
        opus(CLIPS / "opus.ivf", scratch)
    for path in sorted(CLIPS.iterdir()):
        print(path.name, path.stat().st_size)


main()
