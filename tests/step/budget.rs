//! What a mirror may be asked, counted by the mirror.

use std::time::Duration;

use mirrorwatch::daemon::schedule::Allowance;
use mirrorwatch::observation::Spent;
use mirrorwatch::reason::ChangeKind;
use mirrorwatch::timestamp::Timestamp;

use super::world::{Apply, World};

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// One probe as the mirror saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) spent: Spent,
}

/// The worst that any window of this length saw. A request may have come at any moment of its probe.
pub(super) fn worst(asked: &[Asked], window: Duration) -> Spent {
    let asked: Vec<&Asked> = asked.iter().filter(|one| one.spent != Spent::default()).collect();
    let mut worst = Spent::default();
    for (index, first) in asked.iter().enumerate() {
        let within = asked[index..].iter().take_while(|one| one.from.since(first.to) < window);
        let sum = within.fold(Spent::default(), |sum, one| Spent {
            requests: sum.requests + one.spent.requests,
            refusals: sum.refusals + one.spent.refusals,
            bytes: sum.bytes + one.spent.bytes,
        });
        worst.requests = worst.requests.max(sum.requests);
        worst.refusals = worst.refusals.max(sum.refusals);
        worst.bytes = worst.bytes.max(sum.bytes);
    }
    worst
}

/// The worst minute, day and two days of one mirror.
pub(super) struct Worst {
    pub(super) minute: Spent,
    pub(super) day: Spent,
    pub(super) two_days: Spent,
}

impl Worst {
    /// The minute is as long as this allowance takes it.
    pub(super) fn of(asked: &[Asked], allowance: &Allowance) -> Self {
        Self {
            minute: worst(asked, allowance.minute),
            day: worst(asked, DAY),
            two_days: worst(asked, 2 * DAY),
        }
    }

    /// Everything in which this mirror was asked more than it may be.
    pub(super) fn excesses(&self, allowance: &Allowance) -> Vec<String> {
        let Self { minute, day, two_days } = self;
        let limits = [
            ("requests in a minute", u64::from(minute.requests), u64::from(allowance.requests_per_minute)),
            ("requests in a day", u64::from(day.requests), u64::from(allowance.requests_per_day)),
            ("bytes in a day", day.bytes, allowance.bytes_per_day),
            ("refusals in two days", u64::from(two_days.refusals), u64::from(allowance.refusals_per_2_days)),
        ];
        let over = limits.iter().filter(|(_, got, most)| got > most);
        over.map(|(what, got, most)| format!("{got} {what} and not {most}")).collect()
    }
}

/// Everything in which this world's mirrors and its engine were treated worse than they may be.
pub(super) fn excesses(world: &World, allowance: &Allowance) -> Vec<String> {
    let of_one = world.asked.iter().flat_map(|(url, asked)| {
        let excesses = Worst::of(asked, allowance).excesses(allowance);
        excesses.into_iter().map(move |excess| format!("{url}: {excess}"))
    });
    let mut excesses: Vec<String> = of_one.collect();
    let total = total(world).bytes;
    if total > allowance.total_bytes_per_day {
        excesses.push(format!("{total} bytes of all in a day"));
    }
    let spared: Vec<&Apply> = world.applies.iter().filter(|apply| is_spared(apply.change.kind)).collect();
    for (index, first) in spared.iter().enumerate() {
        let within = spared[index..].iter().filter(|other| other.at.since(first.at) < DAY).count();
        if within > usize::try_from(allowance.reloads_per_day).unwrap() {
            excesses.push(format!("{within} reloads in a day: {spared:?}"));
        }
    }
    excesses
}

/// The worst day of all mirrors together.
pub(super) fn total(world: &World) -> Spent {
    worst(&all(world), DAY)
}

/// What all mirrors saw, in its order.
pub(super) fn all(world: &World) -> Vec<Asked> {
    let mut all: Vec<Asked> = world.asked.values().flatten().copied().collect();
    all.sort_by_key(|one| one.from);
    all
}

/// Whether every change of this kind waits where the reloads of a day are spent. Of who is rejected only a head does not.
pub(super) fn is_spared(kind: ChangeKind) -> bool {
    matches!(kind, ChangeKind::Faster | ChangeKind::Filled)
}

/// That nothing and nobody was treated worse in this world than it may be.
#[track_caller]
pub(super) fn kept(world: &World) {
    let excesses = excesses(world, &world.state.settings.allowance);
    assert!(excesses.is_empty(), "{}", excesses.join("\n"));
}
