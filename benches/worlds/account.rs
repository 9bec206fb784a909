//! What a policy cost in a world: seconds of pulls, reloads, and what it asked of the mirrors.

use mirrorwatch::observation::Spent;

use super::world::{LONGEST, MIRRORS, Mood, Pull, World};

/// Seconds in a minute and in a day.
pub(crate) const MINUTE: f64 = 60.0;
const DAY: f64 = 86_400.0;

/// What one mirror was asked on one day.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// HTTP requests.
    pub(crate) requests: u32,
    /// Answers of 403, 404, 429 or 5xx.
    pub(crate) refusals: u32,
    /// Bytes read.
    pub(crate) bytes: u64,
    /// Minutes that it stood in the list.
    selected: u32,
    /// It stood in it, be it for less than a minute.
    listed: bool,
}

/// What the time beyond the oracle's was lost to, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lost {
    /// Mirrors of the list that did not serve.
    dead: f64,
    /// A mirror that crawled or hung.
    crawling: f64,
    /// A good mirror, when there was a better one.
    slower: f64,
}

/// The account of one policy in one world.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The cost of a pull, minute by minute, and what the oracle would have paid.
    minutes: Vec<(f64, f64)>,
    lost: Lost,
    /// How often the list was changed after the first time.
    changes: u32,
    /// Mirror by mirror for each day.
    asked: Vec<[Asked; MIRRORS]>,
}

impl Account {
    /// Of a world that has not begun.
    pub(crate) fn new(world: &World) -> Self {
        let days = usize::try_from(world.days).unwrap_or(1);
        Self {
            minutes: Vec::new(),
            lost: Lost::default(),
            changes: 0,
            asked: vec![<[Asked; MIRRORS]>::default(); days + 1],
        }
    }

    /// A minute with this list. The oracle knows every mirror's mood and speed at every minute, and pulls from the
    /// best of them; it pays for the pull alone.
    pub(crate) fn minute(&mut self, world: &World, pull: Pull, list: &[usize], at: f64) {
        let served = |host| Some(pull.one_try(host, at)).filter(|(_, served)| *served).map(|(cost, _)| cost);
        let oracle = world.hosts.iter().filter_map(served).fold(LONGEST, f64::min);
        let cost = world.cost(pull, list, at);
        self.minutes.push((cost, oracle));
        let (mut before, mut by) = (0.0, None);
        for host in list {
            let (seconds, served) = pull.one_try(&world.hosts[*host], at);
            if served {
                by = Some(world.hosts[*host].mood_for_pulls(at));
                break;
            }
            before += seconds;
        }
        match by {
            Some(Mood::Serves) => {
                self.lost.dead += before;
                self.lost.slower += cost - before - oracle;
            }
            Some(Mood::Crawls | Mood::Hangs) => self.lost.crawling += cost - oracle,
            Some(Mood::Blackhole | Mood::Refuses | Mood::Answers(_)) | None => {
                self.lost.dead += cost - oracle
            }
        }
        for host in list {
            self.on(*host, at).selected += 1;
        }
        self.listed(list, at);
    }

    /// The list is this one from now on.
    pub(crate) fn listed(&mut self, list: &[usize], at: f64) {
        for host in list {
            self.on(*host, at).listed = true;
        }
    }

    /// The list was changed.
    pub(crate) fn change(&mut self) {
        self.changes += 1;
    }

    /// A mirror was asked.
    pub(crate) fn spend(&mut self, host: usize, spent: Spent, at: f64) {
        let asked = self.on(host, at);
        asked.requests += spent.requests;
        asked.refusals += spent.refusals;
        asked.bytes += spent.bytes;
    }

    fn on(&mut self, host: usize, at: f64) -> &mut Asked {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a world has some days")]
        let day = (at / DAY) as usize;
        let last = self.asked.len() - 1;
        &mut self.asked[day.min(last)][host]
    }

    /// The mean cost over the oracle's, less one.
    pub(crate) fn regret(&self) -> f64 {
        let (cost, oracle) = self.minutes.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        cost / oracle - 1.0
    }

    /// The regret by what it was lost to: mirrors that did not serve, crawls, good mirrors that were not the best.
    pub(crate) fn parts(&self) -> [f64; 3] {
        let oracle: f64 = self.minutes.iter().map(|(_, oracle)| oracle).sum();
        [self.lost.dead, self.lost.crawling, self.lost.slower].map(|lost| lost / oracle)
    }

    /// Reloads a day after the first one.
    pub(crate) fn reloads(&self) -> f64 {
        f64::from(self.changes) / (self.minutes.len() as f64 * MINUTE / DAY)
    }
}

/// Mean and greatest of something.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Range {
    /// The mean.
    pub(crate) mean: f64,
    /// The greatest.
    pub(crate) most: f64,
}

impl Range {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let (mut sum, mut count, mut most) = (0.0, 0.0_f64, 0.0_f64);
        for value in values {
            sum += value;
            count += 1.0;
            most = most.max(value);
        }
        Self { mean: sum / count.max(1.0), most }
    }
}

/// What one policy cost over several worlds of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    /// The mean of the worlds' regrets, and the greatest.
    pub(crate) regret: Range,
    /// The mean regret by what it was lost to, as [`Account::parts`] has it.
    pub(crate) parts: [f64; 3],
    /// The median of what a pull takes, in seconds.
    pub(crate) median: f64,
    /// Seconds more than the oracle's that 99 of 100 minutes stay below.
    pub(crate) extra: f64,
    /// Reloads a day.
    pub(crate) reloads: Range,
    /// Requests a day of a mirror that stood in the list on that day for at least half of it; the greatest is of
    /// those that stood in it at all.
    pub(crate) selected_requests: Range,
    /// Of one that did not stand in it.
    pub(crate) other_requests: Range,
    /// Bytes, likewise.
    pub(crate) selected_bytes: Range,
    /// Bytes, likewise.
    pub(crate) other_bytes: Range,
    /// Bytes a day of all mirrors together.
    pub(crate) total_bytes: Range,
    /// Refusals of one mirror in two days.
    pub(crate) refusals: Range,
}

impl Summary {
    /// Of these accounts.
    pub(crate) fn of(accounts: &[Account]) -> Self {
        let minutes = || accounts.iter().flat_map(|account| &account.minutes);
        let days = || accounts.iter().flat_map(|account| &account.asked[..account.asked.len() - 1]);
        let each = || days().flatten();
        let requests = |asked: &Asked| f64::from(asked.requests);
        #[expect(clippy::cast_precision_loss, reason = "nobody reads 2^53 bytes")]
        let bytes = |asked: &Asked| asked.bytes as f64;
        let selected = |figure: &dyn Fn(&Asked) -> f64| Range {
            mean: Range::of(each().filter(|asked| asked.selected >= 720).map(figure)).mean,
            most: Range::of(each().filter(|asked| asked.listed).map(figure)).most,
        };
        let other =
            |figure: &dyn Fn(&Asked) -> f64| Range::of(each().filter(|asked| !asked.listed).map(figure));
        let two_days = accounts.iter().flat_map(|account| account.asked.windows(2)).flat_map(|days| {
            (0..MIRRORS).map(|host| f64::from(days[0][host].refusals + days[1][host].refusals))
        });
        Self {
            regret: Range::of(accounts.iter().map(Account::regret)),
            parts: [0, 1, 2].map(|part| Range::of(accounts.iter().map(|account| account.parts()[part])).mean),
            median: percentile(minutes().map(|(cost, _)| *cost), 0.5),
            extra: percentile(minutes().map(|(cost, oracle)| cost - oracle), 0.99),
            reloads: Range::of(accounts.iter().map(Account::reloads)),
            selected_requests: selected(&requests),
            other_requests: other(&requests),
            selected_bytes: selected(&bytes),
            other_bytes: other(&bytes),
            total_bytes: Range::of(days().map(|day| day.iter().map(bytes).sum())),
            refusals: Range::of(two_days),
        }
    }
}

fn percentile(values: impl Iterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of this list")]
    let index = (values.len() as f64 * share) as usize;
    values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or(0.0)
}
