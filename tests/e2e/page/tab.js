// What a test can ask of a page. Plain JSON in, plain JSON out; null means "not there yet".
'use strict';
(() => {
  const { Room, RoomEvent, Participant, TrackPublication, setLogLevel } = window.LivekitClient;
  setLogLevel('warn');

  let room = null;
  let events = [];
  const players = new Map(); // "identity/source" -> { track, element }
  const listeners = new Map(); // identity -> analyser of its microphone
  const published = new Map(); // our name of a track -> LocalTrackPublication
  const dataTracks = new Map(); // our name of a data track -> LocalDataTrack
  const remoteDataTracks = new Map(); // name -> { track, frames: what came, frame by frame }
  const numbers = new WeakMap(); // of the tracks that were received
  let nextNumber = 1;
  let audio = null;

  const publicationOf = (identity, source) =>
    [...(room?.remoteParticipants.get(identity)?.trackPublications.values() ?? [])].find((p) => p.source === source);

  function record(name, args) {
    const event = { name, values: [] };
    for (const arg of args) {
      if (arg instanceof Participant) event.identity = arg.identity;
      else if (arg instanceof TrackPublication) Object.assign(event, { source: arg.source, sid: arg.trackSid });
      else if (arg instanceof Uint8Array) event.text = new TextDecoder().decode(arg);
      else if (['string', 'number', 'boolean'].includes(typeof arg)) event.values.push(arg);
    }
    events.push(event);
  }

  function play(track, publication, participant) {
    const name = `${participant.identity}/${publication.source}`;
    if (players.get(name)?.track === track) return;
    const element = track.attach();
    element.muted = track.kind === 'video';
    document.body.append(element);
    players.set(name, { track, element });
    if (track.kind === 'audio') {
      audio ??= new AudioContext();
      const analyser = audio.createAnalyser();
      analyser.fftSize = 16384;
      analyser.smoothingTimeConstant = 0;
      audio.createMediaStreamSource(new MediaStream([track.mediaStreamTrack])).connect(analyser);
      listeners.set(participant.identity, analyser);
    }
  }

  // A flat colour with a small white square that moves, so that every frame differs.
  function picture(color, width, height, framesPerSecond) {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const brush = canvas.getContext('2d');
    let step = 0;
    setInterval(() => {
      brush.fillStyle = color;
      brush.fillRect(0, 0, width, height);
      brush.fillStyle = 'white';
      brush.fillRect((step++ * 9) % width, height / 16, height / 8, height / 8);
    }, 1000 / framesPerSecond);
    return canvas.captureStream(framesPerSecond).getVideoTracks()[0];
  }

  function tone(hz) {
    audio ??= new AudioContext();
    const out = audio.createMediaStreamDestination();
    const wave = new OscillatorNode(audio, { frequency: hz });
    wave.connect(new GainNode(audio, { gain: 0.5 })).connect(out);
    wave.start();
    return out.stream.getAudioTracks()[0];
  }

  async function publish(name, track, options) {
    const publication = await room.localParticipant.publishTrack(track, options);
    published.set(name, publication);
    return publication.trackSid;
  }

  window.tab = {
    async join(url, token, roomOptions = {}, connectOptions = {}) {
      room = new Room(roomOptions);
      events = [];
      for (const name of Object.values(RoomEvent)) room.on(name, (...args) => record(name, args));
      room.on(RoomEvent.TrackSubscribed, play);
      room.on(RoomEvent.DataTrackPublished, (track) => remoteDataTracks.set(track.info.name, { track, frames: [] }));
      await room.connect(url, token, connectOptions);
      return window.tab.view();
    },
    // As join, but a refusal is a value.
    tryJoin: (...args) => window.tab.join(...args).then(
      () => ({ joined: true }),
      (error) => ({ joined: false, message: error.message, status: error.status ?? null }),
    ),
    async leave() {
      await room.disconnect();
    },
    // Joins and leaves n times in a row, alternating the number of peer connections; every fifth publishes.
    async churn(url, tokens) {
      for (const [i, token] of tokens.entries()) {
        const guest = new Room({ singlePeerConnection: i % 2 === 0 });
        await guest.connect(url, token);
        if (i % 5 === 0) await guest.localParticipant.publishTrack(tone(300), { source: 'microphone' });
        await guest.disconnect();
      }
      return tokens.length;
    },
    view() {
      const me = room.localParticipant;
      const remotes = {};
      for (const [identity, p] of room.remoteParticipants) {
        remotes[identity] = { sid: p.sid, name: p.name, metadata: p.metadata, attributes: { ...p.attributes } };
      }
      return {
        state: room.state, room: room.name, roomMetadata: room.metadata, identity: me.identity, sid: me.sid, name: me.name,
        metadata: me.metadata, attributes: { ...me.attributes }, serverVersion: room.serverInfo?.version ?? null, remotes,
        connections: window.connections.filter((c) => c.connectionState !== 'closed').length,
      };
    },
    // A reliable message, again and again: the prefix and its number.
    keepSaying(prefix, intervalMs) {
      let number = 0;
      setInterval(() => {
        // while it reconnects it would remember for good that it cannot send
        if (room.state === 'connected') window.tab.say(`${prefix} ${number++}`).catch(() => {});
      }, intervalMs);
    },
    say: (text) => room.localParticipant.publishData(new TextEncoder().encode(text), { reliable: true }),
    roomSid: () => room.getSid(),
    eventsFrom: (from) => events.slice(from),
    eventCount: () => events.length,

    publishPicture: (color, options = {}, width = 640, height = 360, framesPerSecond = 15) =>
      publish('camera', picture(color, width, height, framesPerSecond), { source: 'camera', ...options }),
    publishTone: (hz, options = {}) => publish('microphone', tone(hz), { source: 'microphone', dtx: false, ...options }),
    async publishDevices(cameraOptions = {}) {
      const capture = { resolution: { width: 960, height: 540, frameRate: 15 } };
      published.set('camera', await room.localParticipant.setCameraEnabled(true, capture, cameraOptions));
      published.set('microphone', await room.localParticipant.setMicrophoneEnabled(true));
      return { camera: published.get('camera').trackSid, microphone: published.get('microphone').trackSid };
    },
    async shareScreen() {
      return (await room.localParticipant.setScreenShareEnabled(true, { resolution: { width: 1280, height: 720, frameRate: 10 } })).trackSid;
    },
    async setMuted(name, muted) {
      const { track } = published.get(name);
      await (muted ? track.mute() : track.unmute());
    },
    async unpublish(name) {
      await room.localParticipant.unpublishTrack(published.get(name).track);
    },
    async outbound(name) {
      const streams = [];
      (await published.get(name).track.sender.getStats()).forEach((s) => s.type === 'outbound-rtp' && streams.push(s.rid ?? ''));
      return streams;
    },

    // what the server reports of each stream that it receives
    async remoteInbound(name) {
      const reports = [];
      (await published.get(name).track.sender.getStats()).forEach((s) => s.type === 'remote-inbound-rtp' && reports.push({ ssrc: s.ssrc, lost: s.packetsLost }));
      return reports;
    },

    // The media of everybody, as a number each: another one once it was subscribed anew. Plays what nobody was told of: livekit-client
    // keeps the events of its first two seconds after a full reconnect to itself (its issue 2074).
    received() {
      const ids = {};
      for (const participant of room.remoteParticipants.values()) {
        for (const publication of participant.trackPublications.values()) {
          const { track, source } = publication;
          if (!track) continue;
          play(track, publication, participant);
          if (!numbers.has(track)) numbers.set(track, nextNumber++);
          ids[`${participant.identity}/${source}`] = numbers.get(track);
        }
      }
      return ids;
    },
    setSubscribed: (identity, source, on) => publicationOf(identity, source).setSubscribed(on),
    setEnabled: (identity, source, on) => publicationOf(identity, source).setEnabled(on),
    remoteTrack(identity, source) {
      const p = publicationOf(identity, source);
      return p ? { sid: p.trackSid, muted: p.isMuted, subscribed: p.isSubscribed && !!p.track, mime: p.mimeType ?? null, simulcast: !!p.simulcasted } : null;
    },
    async inbound(identity, source) {
      const track = publicationOf(identity, source)?.track;
      if (!track?.receiver) return null;
      const stats = await track.receiver.getStats();
      let stream = null;
      stats.forEach((s) => { if (s.type === 'inbound-rtp' && s.trackIdentifier === track.receiver.track.id) stream = s; });
      return stream && {
        frames: stream.framesDecoded ?? 0, width: stream.frameWidth ?? 0, height: stream.frameHeight ?? 0,
        packets: stream.packetsReceived, energy: stream.totalAudioEnergy ?? 0, codec: stats.get(stream.codecId)?.mimeType ?? null,
      };
    },
    // Mean colour of the lower half, where the square never is.
    color(identity, source) {
      const video = players.get(`${identity}/${source}`)?.element;
      if (!video?.videoWidth) return null;
      const canvas = Object.assign(document.createElement('canvas'), { width: 16, height: 16 });
      const brush = canvas.getContext('2d');
      brush.drawImage(video, 0, 0, 16, 16);
      const { data } = brush.getImageData(0, 9, 16, 6);
      const mean = (channel) => {
        let sum = 0;
        for (let i = channel; i < data.length; i += 4) sum += data[i];
        return Math.round((sum * 4) / data.length);
      };
      return [mean(0), mean(1), mean(2)];
    },
    // The strongest frequency heard from somebody's microphone.
    pitch(identity) {
      window.tab.received();
      const analyser = listeners.get(identity);
      if (!analyser) return null;
      const decibels = new Float32Array(analyser.frequencyBinCount);
      analyser.getFloatFrequencyData(decibels);
      const bin = decibels.reduce((best, value, i) => (value > decibels[best] ? i : best), 0);
      const decibel = decibels[bin];
      return Number.isFinite(decibel) ? { hz: (bin * audio.sampleRate) / analyser.fftSize, decibel } : null;
    },
    async publishDataTrack(name) {
      const track = await room.localParticipant.publishDataTrack({ name });
      dataTracks.set(name, track);
      return track.info;
    },
    // As publishDataTrack, but a refusal is a value.
    tryPublishDataTrack: (name) => window.tab.publishDataTrack(name).catch((error) => ({ refused: error.reasonName ?? error.message })),
    // Frames whose bytes are their number in the first two and then its low byte.
    async pushFrames(name, first, count, bytes, intervalMs) {
      for (let number = first; number < first + count; number++) {
        const payload = new Uint8Array(bytes).fill(number & 255);
        payload[0] = number >> 8;
        await dataTracks.get(name).tryPush({ payload, userTimestamp: BigInt(number) });
        await new Promise((resolve) => { setTimeout(resolve, intervalMs); });
      }
    },
    unpublishDataTrack: (name) => dataTracks.get(name).unpublish(),
    isDataTrackPublished: (name) => dataTracks.get(name).isPublished(),
    remoteDataTrack(name) {
      const known = remoteDataTracks.get(name);
      return known ? { sid: known.track.info.sid, publisher: known.track.publisherIdentity } : null;
    },
    readDataTrack(name) {
      const { track, frames } = remoteDataTracks.get(name);
      const reader = track.subscribe({ bufferSize: 256 }).getReader();
      (async () => {
        for (let next = await reader.read(); !next.done; next = await reader.read()) {
          const { payload, userTimestamp } = next.value;
          const number = (payload[0] << 8) | payload[1];
          const whole = payload.slice(1).every((byte) => byte === payload[1]);
          frames.push({ number, bytes: payload.length, whole, timestamp: Number(userTimestamp) });
        }
      })();
    },
    dataFrames: (name) => remoteDataTracks.get(name).frames,

    setMetadata: (text) => room.localParticipant.setMetadata(text),
    setName: (text) => room.localParticipant.setName(text),
    setAttributes: (values) => room.localParticipant.setAttributes(values),
  };
})();
