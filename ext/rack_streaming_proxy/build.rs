//! Tells rustc about the Ruby that it builds for (link arguments, version cfgs).

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _ = rb_sys_env::activate()?;
    Ok(())
}
