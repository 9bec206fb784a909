//! What others do: a list that nobody touches, and lists that are sorted anew every five minutes.

use mirrorwatch::observation::Spent;

use super::account::{Account, MINUTE};
use super::chance::Chance;
use super::world::{Host, Mood, Pull, World};

/// Places in the list, as in ours.
const PLACES: usize = 3;
/// Minutes between two sortings.
const EVERY: u32 = 5;
/// Two measurements differ by so much, as ours do.
const NOISE: f64 = 0.2;
/// What a speed is measured by.
const MEASURED: f64 = 1_048_576.0;

/// A policy to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Baseline {
    /// The best three of the first moment, for ever.
    Static,
    /// Sorted by the time of an answer to `/v2/`, which is what every peer does.
    Latency,
    /// Sorted by the speed of a mebibyte.
    Throughput,
}

/// Lives through a world.
pub(crate) fn live(baseline: Baseline, world: &World, pull: Pull) -> Account {
    let mut chance = Chance::new(world.seed, 100);
    let mut account = Account::new(world);
    let mut list = best(world, |host| answers(host, 0.0).then(|| pull.seconds(host, Mood::Serves, 0.0)));
    for minute in 0..world.days * 24 * 60 {
        let at = f64::from(minute) * MINUTE;
        if baseline != Baseline::Static && minute.is_multiple_of(EVERY) {
            let sorted = sort(baseline, world, pull, at, &mut chance, &mut account);
            if sorted != list {
                account.change();
                list = sorted;
            }
        }
        account.minute(world, pull, &list, at);
    }
    account
}

fn sort(
    baseline: Baseline,
    world: &World,
    pull: Pull,
    at: f64,
    chance: &mut Chance,
    account: &mut Account,
) -> Vec<usize> {
    let by_speed = baseline == Baseline::Throughput;
    for host in 0..world.hosts.len() {
        let (requests, bytes) = if by_speed { (7, 1 << 20) } else { (1, 512) };
        let refusals = u32::from(matches!(world.hosts[host].mood(at), Mood::Answers(_)));
        account.spend(host, Spent { requests, refusals, bytes }, at);
    }
    best(world, |host| {
        let noise = chance.around_one(NOISE);
        let speed = host.speed(host.mood(at), at);
        let measured = if by_speed { pull.transfer(MEASURED, speed, host.rtt, 1.0) } else { host.rtt };
        answers(host, at).then_some(measured * noise)
    })
}

fn answers(host: &Host, at: f64) -> bool {
    matches!(host.mood(at), Mood::Serves | Mood::Crawls)
}

/// The least by a figure; whoever has none does not take part.
fn best(world: &World, mut figure: impl FnMut(&Host) -> Option<f64>) -> Vec<usize> {
    let figures = world.hosts.iter().enumerate();
    let mut figures: Vec<(f64, usize)> =
        figures.filter_map(|(number, host)| figure(host).map(|figure| (figure, number))).collect();
    figures.sort_by(|a, b| a.0.total_cmp(&b.0));
    figures.into_iter().take(PLACES).map(|(_, number)| number).collect()
}
