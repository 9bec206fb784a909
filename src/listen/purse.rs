//! Processor time that may be spent. No clock and no I/O.

use std::time::Duration;

const DAY: f64 = 86_400.0;

/// What is not spent is saved up for so long: an hour in which much happens is looked at as closely as any other.
const SAVED: f64 = 3600.0;

/// At the start there is a tenth of that.
const FIRST: f64 = SAVED / 10.0;

/// So much of a processor's time a day, whatever the host does: who has nothing left waits until something has come in.
#[derive(Debug)]
pub(super) struct Purse {
    /// Seconds of processor time for each second.
    income: f64,
    /// Seconds; less than nothing after what cost more than there was.
    left: f64,
    as_of: Duration,
}

impl Purse {
    /// With so much to spend a day.
    pub(super) fn a_day(income: Duration) -> Self {
        let income = income.as_secs_f64() / DAY;
        Self { income, left: income * FIRST, as_of: Duration::ZERO }
    }

    /// Whether there is something left `now` (since any fixed moment).
    pub(super) fn has_some(&mut self, now: Duration) -> bool {
        self.earn(now);
        self.left > 0.0
    }

    /// Whether there is half of what can be saved.
    pub(super) fn is_half_full(&mut self, now: Duration) -> bool {
        self.earn(now);
        self.left >= self.income * SAVED / 2.0
    }

    /// So much was spent; by when there will be something left.
    pub(super) fn spend(&mut self, now: Duration, spent: Duration) -> Duration {
        self.earn(now);
        self.left -= spent.as_secs_f64();
        now + Duration::try_from_secs_f64(-self.left / self.income).unwrap_or_default()
    }

    fn earn(&mut self, now: Duration) {
        let since = now.saturating_sub(self.as_of).as_secs_f64();
        self.left = (self.left + since * self.income).min(self.income * SAVED);
        self.as_of = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often in a day of a chance every ten seconds something is bought that costs so much.
    fn bought(cost: Duration) -> u32 {
        let mut purse = Purse::a_day(Duration::from_millis(500));
        let mut bought = 0;
        for second in (0..86_400).step_by(10) {
            let now = Duration::from_secs(second);
            if purse.has_some(now) {
                purse.spend(now, cost);
                bought += 1;
            }
        }
        bought
    }

    #[test]
    fn a_day_costs_what_it_may_however_dear_each_is() {
        for micros in [100, 230, 3_200, 50_000] {
            let cost = Duration::from_micros(micros);
            let spent = cost * bought(cost);
            let most = Duration::from_millis(550) + cost;
            assert!(spent <= most, "{spent:?} at {cost:?} each");
            assert!(spent >= Duration::from_millis(490), "and no less: {spent:?} at {cost:?} each");
        }
        assert_eq!(bought(Duration::from_micros(50)), 8640, "what costs less is always bought");
    }

    #[test]
    fn an_hour_is_saved_and_no_more() {
        let mut purse = Purse::a_day(Duration::from_secs(24));
        assert!(purse.has_some(Duration::ZERO) && !purse.is_half_full(Duration::ZERO));
        assert!(purse.is_half_full(Duration::from_secs(1800)));
        let later = Duration::from_secs(864_000);
        purse.spend(later, Duration::from_millis(999));
        assert!(purse.has_some(later) && !purse.is_half_full(later));
        let some = purse.spend(later, Duration::from_millis(2));
        assert!(!purse.has_some(later) && some > later && some < later + Duration::from_secs(10));
        assert!(purse.has_some(some + Duration::from_millis(1)));
    }
}
