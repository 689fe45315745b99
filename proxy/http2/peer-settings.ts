import { ErrorCode, MAX_WINDOW, Setting } from './frames.ts';
import type { Outgoing } from './outgoing.ts';
import type { StreamTable } from './stream-table.ts';

/** Bounds of SETTINGS_MAX_FRAME_SIZE (RFC 9113 section 6.5.2). */
const MIN_FRAME_SIZE = 16_384;
const MAX_FRAME_SIZE = 16_777_215;

/** Applies the peer's settings, `b[start, end)` of six bytes each. @returns the code of a connection error, or `ErrorCode.none` */
export function applySettings(
  b: Buffer,
  start: number,
  end: number,
  table: StreamTable,
  outgoing: Outgoing,
): number {
  for (let i = start; i < end; i += 6) {
    const error = applySetting(b.readUInt16BE(i), b.readUInt32BE(i + 2), table, outgoing);
    if (error !== ErrorCode.none) return error;
  }
  return ErrorCode.none;
}

function applySetting(id: number, value: number, table: StreamTable, outgoing: Outgoing): number {
  switch (id) {
    case Setting.headerTableSize:
      outgoing.encoder.setTableLimit(value);
      break;
    case Setting.enablePush:
      if (value > 1) return ErrorCode.protocol;
      break;
    case Setting.maxConcurrentStreams:
      table.setPeerLimit(value);
      break;
    case Setting.initialWindowSize:
      if (value > MAX_WINDOW || !outgoing.sender.setInitialWindow(value, table.values()))
        return ErrorCode.flowControl;
      break;
    case Setting.maxFrameSize:
      if (value < MIN_FRAME_SIZE || value > MAX_FRAME_SIZE) return ErrorCode.protocol;
      outgoing.sender.setMaxFrameSize(value);
      break;
    case Setting.maxHeaderListSize:
      outgoing.setPeerMaxHeaderList(value);
      break;
    default:
      // Unknown settings are ignored (RFC 9113 section 6.5.2).
      break;
  }
  return ErrorCode.none;
}
