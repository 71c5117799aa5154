/** How often a page asks by REST while the socket is away. */
export const POLL_MS = 2_000;

/** A stream is told by REST when its first subscription is not answered within this time. */
export const FIRST_MS = 500;

/** A push can be lost without a trace: a channel that was quiet this long is asked for its snapshot again. */
export const QUIET_MS = 15_000;

/** How the socket comes back. */
export const RECONNECT_MS = { reconnectionDelay: 200, reconnectionDelayMax: 2_000 };

/** How long one REST call or one socket acknowledgement may take. */
export const TIMEOUT_MS = 15_000;

/** A model that is asked for a label may think this long. */
export const LABELLING_MS = 60_000;

/** A channel nobody listens to any more is given up after this long: moving between pages costs nothing. */
export const LINGER_MS = 1_000;

/** Data older than this, with the socket away, counts as no connection at all. */
export const STALE_MS = 6_000;

/** A page that was just opened is given so long to connect before its socket counts as away. */
export const CONNECT_MS = 3_000;

/** At most so many log lines are held; older ones stay on the server. */
export const LOG_LINES = 1_000;

/** Points a curve is asked for, and the most that pushed points of one metric may grow to before they are thinned. */
export const CURVE_POINTS = 1_000;
export const TAIL_POINTS = 2_000;

/** What pushes say is out of date is read again at most this often. */
export const REFRESH_MS = 1_000;

/** What is under way is read again this often even while it is pushed: a job that stalls pushes nothing. */
export const LIVENESS_MS = 10_000;

/** The history of a job under way is read again this often. */
export const HISTORY_MS = 5_000;

/** A comparison of jobs under way is read again this often: it is made of whole curves. */
export const COMPARE_MS = 5_000;

/** The most jobs the API compares at once. */
export const MOST_COMPARED = 8;

/** While a job runs, what its machine does is read again this often; what the job itself uses is pushed. */
export const JOB_HARDWARE_MS = 30_000;

/** The time that the charts of the System page span. */
export const HOUR_SECONDS = 3_600;
