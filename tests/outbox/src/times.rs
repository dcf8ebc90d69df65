//! All times of a run. With the defaults of the outbox a run would take hours.

use std::time::Duration;

/// The client's idle timeout: maximum time without a byte sent or received.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(800);
/// Deadline of a send. For a large mail, [`UPLOAD`] is added.
pub(crate) const DEADLINE: Duration = Duration::from_millis(1500);
/// Duration of a lease, during which a mail belongs to a worker.
pub(crate) const LEASE: Duration = Duration::from_millis(2500);
/// Minimum time between the end of a send and the end of its lease.
pub(crate) const LEASE_MARGIN: Duration = Duration::from_millis(500);
/// Extension of the lease of a large mail.
pub(crate) const UPLOAD: Duration = Duration::from_secs(6);
/// How long a worker stays stopped after its lease, so that its mail is looked up and sent again
/// meanwhile.
pub(crate) const ASLEEP: Duration = Duration::from_secs(6);
/// How long an event takes to appear in the sandbox's activity.
pub(crate) const LAG: Duration = Duration::from_secs(1);
/// How long a mail is looked up before it counts as absent, unless a later event proves its absence sooner.
pub(crate) const GIVE_UP: Duration = Duration::from_millis(2500);
/// Largest difference between the clocks of the outbox and the sandbox.
pub(crate) const MARGIN: Duration = Duration::from_secs(1);
/// Time from a worker's last look-up until another worker takes over the look-ups.
pub(crate) const HANDOVER: Duration = Duration::from_secs(1);
/// Interval of an idle worker's queries.
pub(crate) const POLL: Duration = Duration::from_millis(200);
/// Interval of checks for ended leases and for mails to look up. The sandbox allows 60 look-ups a
/// minute.
pub(crate) const SWEEP: Duration = Duration::from_millis(1100);
/// First wait after a failure, and the longest.
pub(crate) const BACKOFF: (Duration, Duration) =
    (Duration::from_millis(200), Duration::from_secs(1));
/// Pause after a 429 without `Retry-After`.
pub(crate) const RATE_LIMIT: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(2));
/// How long a worker may finish its sends after SIGTERM.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);
/// `Retry-After` of the sandbox's 429, in seconds.
pub(crate) const RETRY_AFTER: &str = "1";
