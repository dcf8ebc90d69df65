//! Formats the results of a benchmark as a table.

use std::fmt;

use crate::build::Cargo;
use crate::run::Result;

#[derive(Clone, Copy)]
pub enum Unit {
    Count,
    Nanoseconds,
    Milliseconds,
    /// Measured in bytes, shown in MiB.
    Mib,
}

impl Unit {
    fn show(self, value: u64) -> String {
        #[allow(clippy::cast_precision_loss)]
        let value = value as f64;
        match self {
            Self::Count => format!("{value}"),
            Self::Nanoseconds if value < 1e6 => format!("{:.1} µs", value / 1e3),
            Self::Nanoseconds => format!("{:.1} ms", value / 1e6),
            Self::Milliseconds => format!("{:.0} s", value / 1e3),
            Self::Mib => format!("{:.1} MiB", value / f64::from(1024 * 1024)),
        }
    }
}

enum Budget {
    None,
    /// Limit of the ratio of the SDK's value to the baseline's.
    Ratio(f64),
    /// Limit of the SDK's value.
    Limit(u64),
}

pub struct Row {
    name: &'static str,
    unit: Unit,
    hand: u64,
    sdk: u64,
    budget: Budget,
}

impl Row {
    pub fn ratio(name: &'static str, unit: Unit, [hand, sdk]: [u64; 2], budget: f64) -> Self {
        Self::new(name, unit, hand, sdk, Budget::Ratio(budget))
    }

    pub fn limit(name: &'static str, unit: Unit, [hand, sdk]: [u64; 2], budget: u64) -> Self {
        Self::new(name, unit, hand, sdk, Budget::Limit(budget))
    }

    pub fn measured(name: &'static str, unit: Unit, [hand, sdk]: [u64; 2]) -> Self {
        Self::new(name, unit, hand, sdk, Budget::None)
    }

    fn new(name: &'static str, unit: Unit, hand: u64, sdk: u64, budget: Budget) -> Self {
        Self {
            name,
            unit,
            hand,
            sdk,
            budget,
        }
    }
}

#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    pub fn add(&mut self, row: Row) {
        eprintln!("{row}");
        self.0.push(row);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the text of the committed file, without the sandbox's section.
    pub fn document(&self, cargo: &Cargo) -> Result<String> {
        Ok(format!(
            "# What a mail costs\n\n\
             Written by `cargo xtask bench`; see the [README](README.md) for what is measured and how.\n\
             The ratios are much the same on another machine, the figures are not.\n\n\
             {self}\n\
             With {}.\n",
            cargo.versions()?.join(", ")
        ))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[allow(clippy::cast_precision_loss)]
        let ratio = self.sdk as f64 / self.hand as f64;
        let (budget, kept) = match self.budget {
            Budget::None => (String::new(), true),
            Budget::Ratio(budget) => (format!("≤ {budget:.2}"), ratio <= budget),
            Budget::Limit(budget) => (format!("≤ {}", self.unit.show(budget)), self.sdk <= budget),
        };
        write!(
            f,
            "| {} | {ratio:.2} | {budget}{} | {} | {} |",
            self.name,
            if kept { "" } else { ", exceeded" },
            self.unit.show(self.sdk),
            self.unit.show(self.hand),
        )
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | ratio | budget | smtp2go-sdk | baseline |")?;
        writeln!(f, "| --- | --- | --- | --- | --- |")?;
        self.0.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}
