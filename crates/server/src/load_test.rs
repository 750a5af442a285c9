//! `sluicegate load-test`: runs it and shows what came of it.

use std::path::Path;
use std::process::ExitCode;

use sluicegate_load::shell::{self, LoadError, LoadOptions, Report};

/// A failure as well when the test ran and was not passed.
pub fn run(options: &LoadOptions) -> ExitCode {
    match measure(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sluicegate load-test: {error}");
            ExitCode::FAILURE
        }
    }
}

/// True: nothing was amiss.
fn measure(options: &LoadOptions) -> Result<bool, LoadError> {
    if options.send_floor {
        print!("{}", shell::send_floor()?);
        return Ok(true);
    }
    let report = shell::run(options)?;
    show(&report, options.json.as_deref())?;
    Ok(report.faults().is_empty())
}

fn show(report: &Report, json: Option<&Path>) -> Result<(), LoadError> {
    if json == Some(Path::new("-")) {
        println!("{:#}", report.to_json());
        return Ok(());
    }
    print!("{}", report.to_table());
    if let Some(path) = json {
        let write = |error| LoadError::Write { path: path.display().to_string(), error };
        std::fs::write(path, format!("{:#}\n", report.to_json())).map_err(write)?;
    }
    Ok(())
}
