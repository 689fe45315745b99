import { isIPv4 } from 'node:net';
import { encode } from '../../api/proto/codec.ts';
import type { DestinationProfile, Update } from '../../api/proto/gen/linkerd/destination_pb.js';
import { methods } from '../../api/proto/methods.ts';
import {
  grpcStatus,
  type Channel,
  type Clock,
  type GrpcError,
  type Timer,
} from '../../workload-identity/index.ts';
import type { Endpoint } from '../balance/endpoint.ts';
import type { OutboundRules } from '../route/outbound-rules.ts';
import { compileProfile } from '../route/profile-rules.ts';
import type { ControlCells } from '../telemetry/control-metrics.ts';
import { EndpointSet, toEndpoint } from './endpoints.ts';
import { Watch } from './watch.ts';

/** ms that a target which was not used for a while waits for a fresh answer before it goes by what it remembers. */
const REVALIDATE_MS = 1_000;

/**
 * ms behind the last endpoint told again after which a new stream has told them all. A large set comes in many messages,
 * which nothing ends; a busy proxy takes them over some turns. Until then those in use stay: to drop and dial them again
 * costs more than to keep one that is gone for a second longer.
 */
const WHOLE_AFTER_MS = 1_000;

/** Where a name leads. */
export type Found =
  /** No answer yet. */
  | { readonly kind: 'waiting' }
  | {
      readonly kind: 'endpoints';
      readonly endpoints: readonly Endpoint[];
      readonly opaque: boolean;
      /** The one name of the Service, without its port; empty where a single pod was asked for. */
      readonly name: string;
      /** Rules of a ServiceProfile, which go before those of the policy. */
      readonly rules: OutboundRules | undefined;
    }
  /** The name is no Service of this cluster. */
  | { readonly kind: 'no-service' };

export const WAITING: Found = { kind: 'waiting' };

export interface DiscoveryOptions {
  channel: Channel;
  /** Sent along verbatim: says where we are, for short names. */
  contextToken: string;
  clock: Clock;
  random: () => number;
  metrics: ControlCells;
}

/**
 * What the control plane says of one name: GetProfile, and Get when it is a Service. A name is asked for both at once,
 * since it is one as a rule, and its first request waits for both; an address, of which most are pods', for its profile
 * first. Goes on with what it heard last while the control plane is away; `suspend` ends the streams of a name that
 * nobody uses and remembers what they told.
 */
export class Discovery {
  readonly #path: string;
  readonly #options: DiscoveryOptions;
  readonly #changed: (found: Found) => void;
  readonly #profile: Watch<DestinationProfile>;
  readonly #get: Watch<Update>;
  readonly #endpoints = new EndpointSet();
  #opaque = false;
  #name = '';
  #rules: OutboundRules | undefined;
  /** The profile has been told since the streams were opened: only with it is anything of use. */
  #profiled = false;
  /** The profile that the rules are from: an unchanged one keeps its rules. */
  #told: Buffer | undefined;
  #found: Found = WAITING;
  #remembered: Found | undefined;
  #revalidation: Timer | undefined;
  #whole: Timer | undefined;

  /** @param path `name:port` or `ip:port` */
  constructor(path: string, options: DiscoveryOptions, changed: (found: Found) => void) {
    this.#path = path;
    this.#options = options;
    this.#changed = changed;
    const { channel, contextToken } = options;
    const request = { path, contextToken };
    this.#profile = new Watch<DestinationProfile>({
      ...options,
      open: (handlers) => channel.serverStream(methods.getProfile, request, handlers),
      message: (profile) => this.#onProfile(profile),
      ended: (error) => this.#onProfileEnd(error),
    });
    this.#get = new Watch<Update>({
      ...options,
      open: (handlers) => channel.serverStream(methods.getEndpoints, request, handlers),
      message: (update, first) => this.#onUpdate(update, first),
      ended: (error) => this.#onGetEnd(error),
    });
  }

  get found(): Found {
    return this.#found;
  }

  /** Opens the streams, if they are not open. */
  resume(): void {
    if (this.#profile.running || this.#found.kind === 'no-service') return;
    if (this.#remembered !== undefined) this.#revalidate();
    this.#profile.start();
    if (!isAddress(this.#path)) this.#get.start();
  }

  /** A method of its own: what a closure holds is allocated by each call of the function that it stands in, and every request calls `resume`. */
  #revalidate(): void {
    this.#revalidation = this.#options.clock.after(REVALIDATE_MS, () => this.#useRemembered());
  }

  /** Nobody uses the name: ends the streams, and remembers. */
  suspend(): void {
    this.#revalidation?.cancel();
    this.#whole?.cancel();
    this.#profile.stop();
    this.#get.stop();
    this.#profiled = false;
    if (this.#found.kind === 'endpoints') this.#remembered = this.#found;
    this.#publish(WAITING);
  }

  #onProfile(profile: DestinationProfile): void {
    this.#profiled = true;
    this.#opaque = profile.opaqueProtocol;
    this.#name = profile.fullyQualifiedName;
    this.#compile(profile);
    if (profile.endpoint !== undefined) {
      const only = toEndpoint(profile.endpoint, {});
      this.#get.stop();
      this.#whole?.cancel();
      this.#endpoints.clear();
      this.#publishEndpoints(only === undefined ? [] : [only]);
    } else if (this.#get.live) this.#publishEndpoints(this.#endpoints.endpoints);
    else {
      this.#get.start();
      this.#get.hurry();
    }
  }

  #compile(profile: DestinationProfile): void {
    if (profile.routes.length + profile.dstOverrides.length === 0) {
      this.#told = undefined;
      this.#rules = undefined;
      return;
    }
    const told = encode(profile.$typeName, profile);
    if (this.#told?.equals(told) === true) return;
    this.#told = told;
    const port = /:\d+$/.exec(this.#path)?.[0] ?? '';
    this.#rules = compileProfile(profile, `${profile.fullyQualifiedName}${port}`, this.#rules);
  }

  #onUpdate(update: Update, first: boolean): void {
    const before = this.#endpoints.unconfirmed;
    this.#endpoints.apply(update, first, this.#found.kind === 'endpoints');
    // New ones do not put the end off: a Service to which some come all the time would keep those that are gone.
    if (first || this.#endpoints.unconfirmed < before) this.#awaitWhole();
    if (this.#profiled) this.#publishEndpoints(this.#endpoints.endpoints);
    else this.#profile.hurry();
  }

  #awaitWhole(): void {
    this.#whole?.cancel();
    if (this.#endpoints.unconfirmed === 0) return;
    this.#whole = this.#options.clock.after(WHOLE_AFTER_MS, () => this.#onWhole());
  }

  #onWhole(): void {
    this.#endpoints.confirm();
    if (this.#profiled) this.#publishEndpoints(this.#endpoints.endpoints);
  }

  #onProfileEnd(error: GrpcError | undefined): boolean {
    const final = error?.code === grpcStatus.invalidArgument || error?.code === grpcStatus.failedPrecondition;
    if (final) {
      this.#get.stop();
      this.#whole?.cancel();
      this.#publish({ kind: 'no-service' });
    } else this.#useRemembered();
    return final;
  }

  #onGetEnd(error: GrpcError | undefined): boolean {
    // Cut off, it may not have told the whole.
    this.#whole?.cancel();
    if (error?.code === grpcStatus.invalidArgument) {
      // Before the profile it says nothing: that of a single pod's name has its endpoint inside, and any other asks anew.
      if (this.#profiled) this.#publish({ kind: 'no-service' });
      return true;
    }
    this.#useRemembered();
    return false;
  }

  #useRemembered(): void {
    if (this.#found.kind === 'waiting' && this.#remembered !== undefined) this.#publish(this.#remembered);
  }

  #publishEndpoints(endpoints: readonly Endpoint[]): void {
    this.#publish({
      kind: 'endpoints',
      endpoints,
      name: this.#name,
      rules: this.#rules,
      opaque: this.#opaque || (endpoints.length > 0 && endpoints.every((one) => one.opaque)),
    });
  }

  #publish(found: Found): void {
    if (found.kind !== 'waiting') {
      this.#revalidation?.cancel();
      this.#remembered = undefined;
    }
    this.#found = found;
    this.#changed(found);
  }
}

/** An address with its port; else it is a name. */
function isAddress(path: string): boolean {
  return path.startsWith('[') || isIPv4(path.slice(0, path.lastIndexOf(':')));
}
