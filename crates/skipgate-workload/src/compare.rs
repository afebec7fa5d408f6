//! Controllers beside each other, and beside the best.

use std::time::Duration;

use serde::Serialize;
use skipgate_controller::{Controller, Deadline, Fixed, KeepUp, Levels, Percentile, Queueing, Stepwise};

use crate::{Arrival, Best, Request, Summary, Tally, oracle, simulate};

/// How well requests were served, beside how well they could have been.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Score {
    /// Of the controller, or of a network.
    pub name: String,
    /// Share of all requests that were answered by their deadlines, from 0 to 1.
    pub deadlines_met: f64,
    /// Share of those that were answered right; `None` if there are none.
    pub accuracy: Option<f64>,
    /// The product of both: the share of all requests that were answered right by their deadlines.
    pub right_in_time: f64,
    /// By which share of the oracle's product this one is smaller.
    pub regret: f64,
}

impl Score {
    /// That of the oracle itself.
    pub fn of_oracle(best: &Best) -> Self {
        Self {
            name: "oracle".to_owned(),
            deadlines_met: best.in_time as f64 / best.requests.max(1) as f64,
            accuracy: best.accuracy(),
            right_in_time: best.right_in_time(),
            regret: 0.0,
        }
    }

    /// What became of requests.
    pub fn new(name: impl Into<String>, summary: &Summary, best: &Best) -> Self {
        let deadlines_met = summary.in_time as f64 / summary.requests.max(1) as f64;
        Self {
            name: name.into(),
            deadlines_met,
            accuracy: (summary.in_time > 0).then(|| summary.right_in_time / deadlines_met),
            right_in_time: summary.right_in_time,
            regret: best.regret(summary.right_in_time),
        }
    }
}

/// A device in virtual time, and what is asked of it.
#[derive(Debug, Clone)]
pub struct Setting<L> {
    /// What controllers may choose from.
    pub levels: Levels,
    /// Time from arrival to answer, for requests without a deadline of their own.
    pub limit: Duration,
    /// Pause after which the paper's algorithm 1 skips less.
    pub idle: Duration,
    /// Requests that a queue lets wait.
    pub room: usize,
    /// What the request of that number takes in a configuration.
    pub latency: L,
}

impl<L: Fn(usize, usize) -> Duration> Setting<L> {
    /// All controllers, by their names. Two models: the default controller with nothing but the most accurate and the
    /// fastest level, switching between them for free.
    pub fn controllers(&self) -> Vec<(&'static str, Box<dyn Controller>)> {
        let levels = || self.levels.clone();
        let first = self.levels.iter().next().map_or(0, |(number, _)| number);
        vec![
            ("keep-up", Box::new(KeepUp::new(&self.levels, self.limit))),
            ("percentile", Box::new(Percentile::new(&self.levels, self.limit))),
            ("deadline", Box::new(Deadline::new(levels(), self.limit))),
            ("queueing", Box::new(Queueing::new(levels(), self.idle, self.room))),
            ("stepwise", Box::new(Stepwise::new(levels(), self.idle))),
            ("two-models", Box::new(KeepUp::new(&self.levels.most_accurate_and_fastest(), self.limit))),
            ("fixed", Box::new(Fixed(first))),
        ]
    }

    /// What a controller makes of requests.
    pub fn serve(&self, controller: &mut dyn Controller, arrivals: &[Arrival]) -> Vec<Request> {
        simulate(controller, arrivals, &self.latency)
    }

    /// Sums up requests by the accuracies of their configurations.
    pub fn summary(&self, requests: &[Request]) -> Summary {
        let mut tally = Tally::new(self.limit);
        for request in requests {
            let level = request.processed().and_then(|p| self.levels.of_number(p.configuration?));
            tally.add(request, level.map_or(0.0, |level| level.accuracy));
        }
        tally.summary()
    }

    /// The best that can be made of requests.
    pub fn best(&self, arrivals: &[Arrival]) -> Best {
        let levels: Vec<_> = self.levels.iter().map(|(number, level)| (number, level.accuracy)).collect();
        oracle(arrivals, self.limit, &levels, &self.latency)
    }

    /// What every controller makes of requests.
    pub fn scores(&self, arrivals: &[Arrival], best: &Best) -> Vec<Score> {
        let score = |(name, mut controller): (&'static str, Box<dyn Controller>)| {
            Score::new(name, &self.summary(&self.serve(controller.as_mut(), arrivals)), best)
        };
        self.controllers().into_iter().map(score).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use skipgate_controller::{EnergyBudget, Level};

    use super::*;
    use crate::Workload;

    const REQUESTS: usize = 500;

    /// Skipped blocks, accuracy in percent and million instructions: `models/README.md`, of ResNet-110 up to the
    /// configurations that are ten points less accurate.
    const RESNET_110: [(u32, f64, f64); 6] = [
        (0, 84.72, 42.7),
        (10, 84.52, 34.3),
        (20, 84.14, 25.9),
        (30, 82.94, 17.5),
        (36, 81.92, 13.1),
        (45, 79.86, 7.8),
    ];
    const RESNET_20: [(u32, f64, f64); 6] = [
        (0, 85.28, 7.77),
        (1, 85.34, 6.74),
        (2, 85.42, 5.72),
        (3, 84.16, 5.0),
        (4, 82.36, 4.29),
        (5, 80.68, 3.7),
    ];

    /// A device of which a share of the calls takes up to twice as long, one in a hundred 1.8 times, and the time of all blocks.
    /// With levels that say less of their slowest calls than is true, requests are late by themselves, and of two loads it is the
    /// lighter, with slower levels, that has more of them.
    fn setting(levels: Vec<(f64, Duration)>, seed: u64) -> Setting<impl Fn(usize, usize) -> Duration> {
        let medians: Vec<_> = levels.iter().map(|(_, median)| *median).collect();
        let all_run = medians[0];
        let level = |(accuracy, median): (f64, Duration)| Level::new(accuracy, median, median.mul_f64(1.8));
        let mut random = fastrand::Rng::with_seed(seed);
        let slower: Vec<_> =
            (0..REQUESTS).map(|_| 0.9 + 0.2 * random.f64() + random.f64().powi(20)).collect();
        Setting {
            levels: Levels::new(levels.into_iter().map(level).collect(), 0.0).unwrap(),
            limit: 2 * all_run,
            idle: all_run,
            room: 4,
            latency: move |request: usize, configuration: usize| {
                medians[configuration].mul_f64(slower[request])
            },
        }
    }

    fn documented(front: &[(u32, f64, f64)]) -> Vec<(f64, Duration)> {
        let level = |(_, percent, millions): &(u32, f64, f64)| {
            (percent / 100.0, Duration::from_secs_f64(millions / 2e4))
        };
        front.iter().map(level).collect()
    }

    fn arrivals(workload: &Workload, seed: u64) -> Vec<Arrival> {
        workload.arrivals(seed).unwrap().take(REQUESTS).collect()
    }

    /// Requests that were dropped or late, and the accuracy of the others.
    fn served(
        setting: &Setting<impl Fn(usize, usize) -> Duration>,
        controller: &mut dyn Controller,
        workload: &Workload,
        seed: u64,
    ) -> (usize, f64) {
        let summary = setting.summary(&setting.serve(controller, &arrivals(workload, seed)));
        (summary.requests - summary.in_time, summary.accuracy.unwrap_or(1.0))
    }

    /// The first two periods, from 0.2 to 3 times the time with all blocks, of which the lighter load is served worse: more
    /// lost requests than one in a hundred, or less accuracy by more than one step of the front.
    fn worse_under_less(
        setting: &Setting<impl Fn(usize, usize) -> Duration>,
        controller: impl Fn() -> Box<dyn Controller>,
        workload: impl Fn(Duration) -> Workload,
        seed: u64,
    ) -> Option<String> {
        let mut accuracies: Vec<_> = setting.levels.iter().map(|(_, level)| level.accuracy).collect();
        accuracies.sort_by(f64::total_cmp);
        let step = accuracies.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        let found = (4..=60).map(|twentieths| {
            let workload = workload(setting.idle.mul_f64(f64::from(twentieths) / 20.0));
            (twentieths, served(setting, controller().as_mut(), &workload, seed))
        });
        let found: Vec<_> = found.collect();
        let worse = found.windows(2).find(|pair| {
            let [(_, (lost, accuracy)), (_, (lost_less, accuracy_less))] = [pair[0], pair[1]];
            lost_less > lost + REQUESTS / 100 || accuracy_less < accuracy - step - 1e-9
        });
        worse.map(|pair| format!("{pair:?}"))
    }

    #[test]
    fn less_load_is_never_served_worse() {
        for front in [documented(&RESNET_110), documented(&RESNET_20)] {
            let setting = setting(front, 1);
            let keep_up = || Box::new(KeepUp::new(&setting.levels, setting.limit)) as Box<dyn Controller>;
            for workload in [Workload::Steady, Workload::Periodic, Workload::Poisson] {
                assert_eq!(worse_under_less(&setting, keep_up, workload, 3), None);
            }
        }
    }

    #[test]
    fn algorithm_1_serves_less_load_worse() {
        let setting = setting(documented(&RESNET_110), 1);
        let stepwise =
            || Box::new(Stepwise::new(setting.levels.clone(), setting.idle)) as Box<dyn Controller>;
        assert!(worse_under_less(&setting, stepwise, Workload::Periodic, 3).is_some());
    }

    #[test]
    fn the_default_stays_within_a_twentieth_of_the_oracle() {
        let setting = setting(documented(&RESNET_110), 1);
        for load in [0.5, 1.0, 1.5, 2.0] {
            for workload in Workload::of_every_kind(setting.idle.div_f64(load)) {
                let arrivals = arrivals(&workload, 1);
                let best = setting.best(&arrivals);
                let scores = setting.scores(&arrivals, &best);
                assert!(scores.iter().all(|score| score.regret > -1e-9), "{scores:?}");
                assert!(scores[0].regret < 0.05, "{workload}, load {load}: {scores:?}");
            }
        }
    }

    #[test]
    fn a_bound_on_the_99th_percentile_is_held_without_dropping_anything() {
        let setting = setting(documented(&RESNET_110), 1);
        for load in [0.5, 1.0, 2.0] {
            let mut controller = Percentile::new(&setting.levels, setting.limit);
            let workload = Workload::Poisson(setting.idle.div_f64(load));
            let summary = setting.summary(&setting.serve(&mut controller, &arrivals(&workload, 1)));
            assert_eq!(summary.dropped, 0);
            assert!(summary.in_time * 100 >= summary.requests * 98, "load {load}: {summary:?}");
        }
    }

    #[test]
    fn a_device_that_becomes_slower_skips_more_instead_of_being_late() {
        let calm = setting(documented(&RESNET_110), 1);
        let latency = |request, configuration| {
            let factor = if request < REQUESTS / 2 { 1 } else { 3 };
            factor * (calm.latency)(request, configuration)
        };
        let arrivals = arrivals(&Workload::Steady(calm.idle.mul_f64(1.9)), 1);
        let requests = simulate(&mut KeepUp::new(&calm.levels, calm.limit), &arrivals, latency);
        let lost = requests.iter().filter(|request| !request.in_time(calm.limit)).count();
        assert!(lost <= 15, "{lost} of {REQUESTS} were lost while the slowdown became known");
        let used = |request: &Request| request.processed().and_then(|p| p.configuration);
        assert!(used(&requests[REQUESTS / 2 - 1]) <= Some(1));
        assert!(used(&requests[REQUESTS - 1]) >= Some(3));
    }

    /// Seconds that a device worked between two times.
    fn worked(requests: &[Request], from: Duration, to: Duration) -> f64 {
        let within = |p: &crate::Processed| p.ended.min(to).saturating_sub(p.began.max(from)).as_secs_f64();
        requests.iter().filter_map(Request::processed).map(within).sum()
    }

    #[test]
    fn a_device_works_no_more_than_its_budget_in_any_period() {
        let setting = setting(documented(&RESNET_110), 1);
        for (share, load) in [(0.1, 1.0), (0.3, 0.5), (0.3, 2.0), (0.7, 3.0)] {
            for workload in Workload::of_every_kind(setting.idle.div_f64(load)) {
                let mut controller = EnergyBudget::new(&setting.levels, setting.limit, share);
                let requests = setting.serve(&mut controller, &arrivals(&workload, 1));
                let longest = 2.2 * setting.idle.as_secs_f64();
                for (first, from) in requests.iter().enumerate().step_by(7) {
                    for to in requests[first..].iter().step_by(11) {
                        let period = to.arrived.saturating_sub(from.arrived) + controller.window();
                        let found = worked(&requests, from.arrived, to.arrived);
                        assert!(
                            found <= share * period.as_secs_f64() + longest,
                            "{workload}, {share}: {found} s"
                        );
                    }
                }
                assert!(requests.iter().any(|request| request.processed().is_some()));
            }
        }
    }

    #[test]
    fn a_smaller_budget_skips_more() {
        let setting = setting(documented(&RESNET_110), 1);
        let arrivals = arrivals(&Workload::Steady(setting.idle.mul_f64(1.2)), 1);
        let accuracy = |share: f64| {
            let mut controller = EnergyBudget::new(&setting.levels, setting.limit, share);
            let summary = setting.summary(&setting.serve(&mut controller, &arrivals));
            assert!(summary.dropped * 10 < REQUESTS, "share {share}: {summary:?}");
            summary.accuracy.unwrap()
        };
        let [all, half, third] = [1.0, 0.5, 0.3].map(accuracy);
        assert!(all > half && half > third, "{all} {half} {third}");
    }

    #[test]
    fn a_budget_of_all_the_time_changes_nothing() {
        let setting = setting(documented(&RESNET_110), 1);
        for workload in Workload::of_every_kind(setting.idle.div_f64(1.5)) {
            let arrivals = arrivals(&workload, 1);
            let mut all = EnergyBudget::new(&setting.levels, setting.limit, 1.0);
            let mut keep_up = KeepUp::new(&setting.levels, setting.limit);
            assert_eq!(setting.serve(&mut all, &arrivals), setting.serve(&mut keep_up, &arrivals));
        }
    }

    #[test]
    fn deadlines_of_their_own_are_met() {
        let setting = setting(documented(&RESNET_110), 1);
        let own = |(number, arrival): (usize, Arrival)| {
            let deadline = (number % 2 == 1).then_some(setting.idle.mul_f64(0.4));
            Arrival { deadline, ..arrival }
        };
        let arrivals: Vec<_> =
            arrivals(&Workload::Steady(2 * setting.idle), 1).into_iter().enumerate().map(own).collect();
        let requests = setting.serve(&mut KeepUp::new(&setting.levels, setting.limit), &arrivals);
        let met = requests.iter().filter(|request| request.in_time(setting.limit)).count();
        assert!(met * 100 >= REQUESTS * 99, "{met} of {REQUESTS}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn less_load_is_never_served_worse_whatever_the_front(
            steps in prop::collection::vec((0.002f64..0.03, 0.5f64..0.95), 1..20), seed in 0u64..1000,
        ) {
            let next = |(accuracy, us): &mut (f64, f64), (less, faster): &(f64, f64)| {
                (*accuracy, *us) = (*accuracy - less, *us * faster);
                Some((*accuracy, Duration::from_secs_f64(*us * 1e-6)))
            };
            let first = (0.9, Duration::from_millis(3));
            let front = std::iter::once(first).chain(steps.iter().scan((0.9, 3000.0), next)).collect();
            let setting = setting(front, seed);
            let keep_up = || Box::new(KeepUp::new(&setting.levels, setting.limit)) as Box<dyn Controller>;
            prop_assert_eq!(worse_under_less(&setting, keep_up, Workload::Periodic, seed), None);
        }
    }
}
