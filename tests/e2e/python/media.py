"""Pictures and tones for the native client: publishing them, and telling what arrived."""

import asyncio
import contextlib

import numpy as np
from livekit import rtc

SAMPLE_RATE = 48_000
SAMPLES_PER_FRAME = 480


@contextlib.asynccontextmanager
async def tone(room, hz):
    """Publishes a sine wave as the microphone while the context lasts."""
    source = rtc.AudioSource(SAMPLE_RATE, 1)
    track = rtc.LocalAudioTrack.create_audio_track("tone", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    publication = await room.local_participant.publish_track(track, options)

    async def feed():
        phase = np.arange(SAMPLES_PER_FRAME)
        while True:
            wave = 9000 * np.sin(2 * np.pi * hz * phase / SAMPLE_RATE)
            frame = rtc.AudioFrame(wave.astype(np.int16).tobytes(), SAMPLE_RATE, 1, SAMPLES_PER_FRAME)
            await source.capture_frame(frame)
            phase = phase + SAMPLES_PER_FRAME

    async with running(feed()):
        yield publication


@contextlib.asynccontextmanager
async def picture(room, rgb, width=640, height=360, frames_per_second=15):
    """Publishes a picture of one colour as the camera while the context lasts."""
    source = rtc.VideoSource(width, height)
    track = rtc.LocalVideoTrack.create_video_track("picture", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, video_codec=rtc.VideoCodec.VP8)
    publication = await room.local_participant.publish_track(track, options)
    pixels = np.empty((height, width, 4), np.uint8)
    pixels[...] = (*rgb, 255)

    async def feed():
        while True:
            source.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.RGBA, pixels.tobytes()))
            await asyncio.sleep(1 / frames_per_second)

    async with running(feed()):
        yield publication


@contextlib.asynccontextmanager
async def running(work):
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


async def color_of(track, frames=20):
    """Mean colour of the lower half of the picture after some decoded frames."""
    stream = rtc.VideoStream(track)
    try:
        seen = 0
        async for event in stream:
            seen += 1
            if seen >= frames:
                frame = event.frame.convert(rtc.VideoBufferType.RGBA)
                pixels = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.width, 4)
                return [round(float(c)) for c in pixels[frame.height // 2 :, :, :3].mean(axis=(0, 1))]
        raise AssertionError(f"the stream ended after {seen} frames")
    finally:
        await stream.aclose()


async def decoded(track, frames):
    """Waits for so many decoded pictures, by the client's own statistics: it now and then keeps them from a VideoStream."""
    while True:
        stats = await track.get_stats()
        count = max((entry.inbound_rtp.inbound.frames_decoded for entry in stats if entry.HasField("inbound_rtp")), default=0)
        if count >= frames:
            return count
        await asyncio.sleep(0.05)


async def pitch_of(track, seconds=2):
    """The strongest frequency and the loudness (root mean square of 16-bit samples) of the last second heard."""
    stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1)
    heard = []
    try:
        async for event in stream:
            heard.append(np.frombuffer(event.frame.data, np.int16))
            if sum(map(len, heard)) >= SAMPLE_RATE * seconds:
                break
    finally:
        await stream.aclose()
    wave = np.concatenate(heard)[-SAMPLE_RATE:].astype(float)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(spectrum.argmax() * SAMPLE_RATE / len(wave)), float(np.sqrt((wave**2).mean()))


def near(color, wanted):
    return all(abs(a - b) < 60 for a, b in zip(color, wanted, strict=True))
