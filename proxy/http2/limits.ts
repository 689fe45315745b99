/**
 * Bytes of a new stream that may be on their way to its receiver. A receiver that takes nothing holds up no more than
 * this, so it is small; not below the 65,535 that a peer may send before it has seen our SETTINGS (RFC 9113 section
 * 6.9.2).
 */
export const STREAM_WINDOW = 64 * 1024;
/** What the window of a stream grows to whose receiver takes what comes: enough for 200 Mbit/s at 40 ms between clusters. */
export const GROWN_STREAM_WINDOW = 1024 * 1024;
/**
 * What it grows to where nothing waits for the receiver, so that the window alone holds the sender up: 300 Mbit/s at
 * 100 ms, between continents. Only while all windows of the connection have less than half of `GROWN_WINDOWS`, so that
 * a few long transfers leave the others theirs.
 */
export const MAX_STREAM_WINDOW = 4 * 1024 * 1024;
/**
 * Bytes of a stream that are credited at the latest when they were taken. Half of a large window would come back in one
 * piece: the sender then sends it in one piece, and has the other half only a round trip later, for as long as the
 * stream lasts.
 */
export const STREAM_CREDIT = 256 * 1024;
/**
 * Bytes up to which all windows of a connection together may grow: receivers that were quick and stop are bounded by
 * it. Where there are so many streams that they have as much to begin with, none of them grows: together they fill a
 * network as well, and one that stalls holds little.
 */
export const GROWN_WINDOWS = 8 * 1024 * 1024;
/** The connection's window is credited on receipt, so it does not bound memory; it only has to exceed what is in flight between two clusters. */
export const CONNECTION_WINDOW = 16 * 1024 * 1024;
/**
 * Bytes of a window for which a DATA frame is made that takes only a part of what waits. Less waits for more credit
 * (RFC 1122 section 4.2.3.4): what is sent byte by byte is credited byte by byte, for ever, and Tomcat closes
 * connections for two such frames in a row below this size.
 */
export const LEAST_PART = 1024;
/** ms until less is sent after all, for receivers that give credit only when a window is used up. RFC 1122: 100 to 1,000. */
export const CRUMB_MS = 100;
/** Received bytes after which the connection's window is credited: rarely enough to cost nothing, often enough never to run dry. */
export const CONNECTION_CREDIT = 1024 * 1024;
/**
 * Bytes of all streams of a connection that were received and not consumed. Above, the streams that have been stuck
 * longest are reset: hundreds of them have room.
 */
export const CONNECTION_BUFFER = 32 * 1024 * 1024;
/** Streams that a peer may have open. A pool opens another connection beyond; a peer's memory for stream state stays below a few MiB. */
export const MAX_CONCURRENT_STREAMS = 1000;
/** ms that a stream's receiver may take none of the bytes that wait for it. Slow networks move in seconds; who takes nothing for half a minute is gone. */
export const STALL_DEADLINE_MS = 30_000;
/** ms of silence before a PING, and for its answer: a vanished peer is noticed in 13 s, sooner than TCP would in minutes. */
export const PING_AFTER_MS = 10_000;
export const PING_ANSWER_MS = 3_000;
/** ms for the peer's first SETTINGS: it comes with the first bytes of an honest peer. */
export const SETTINGS_TIMEOUT_MS = 10_000;
/**
 * Streams that a peer may reset before they are answered (CVE-2023-44487): a burst, and how many a second on end. A
 * proxy's peer cancels what its clients cancel.
 */
export const RESET_BURST = 1000;
export const RESETS_PER_SECOND = 200;
/**
 * The same for the connections of a proxy, each shared by all its clients: what one of them resets must not end the
 * streams of the others. So many cost no more than as many requests that are answered, which a peer may ask for anyway.
 */
export const PROXY_RESET_BURST = 10_000;
export const PROXY_RESETS_PER_SECOND = 5_000;
/**
 * PING: a burst, and a second on end. grpc-go measures its windows by one for every round trip in which it receives
 * something: some thousands a second to a sidecar beside it. Each costs a microsecond or two; answers that are not read
 * are bounded by MAX_OUTPUT.
 */
export const PING_BURST = 1000;
export const PINGS_PER_SECOND = 20_000;
/** Other frames that cost us work and bring nothing (SETTINGS, empty DATA, PRIORITY, unknown ones): a burst, and a second on end. */
export const CONTROL_BURST = 1000;
export const CONTROLS_PER_SECOND = 500;
/** ms that a draining connection waits for streams which the peer opened before it saw GOAWAY: a round trip between continents. */
export const DRAIN_GRACE_MS = 500;
/** ms that a GOAWAY with an error gets to leave: a second is many round trips, and the connection carries nothing else any more. */
export const FAIL_GRACE_MS = 1_000;
/**
 * Bytes of output beyond which a connection is given up. DATA stops at the transport's high-water mark; what still
 * grows then are answers to frames of a peer that does not read: 4 MiB are a thousand heads of usual size, one for each
 * stream.
 */
export const MAX_OUTPUT = 4 * 1024 * 1024;
