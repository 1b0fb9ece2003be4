#include "skyloom/engine/job.hpp"

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"

using namespace skyloom;
using namespace skyloom::engine;
using Catch::Contains;

namespace {

JobSettings small_job() {
  JobSettings job;
  job.nodes = 2;
  job.ranks_per_node = 32;
  return job;
}

JobTask task_of(const char* script = "/data/night.job") {
  return {"photometry", "/opt/skyloom", "/data/night.toml", "/data/night.run", {}, script};
}

std::string refusal(Batch batch, const JobSettings& job, const JobTask& task) {
  try {
    render_job(batch, job, task);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("a template: values go in, lines without value go out") {
  CHECK(fill_template("a {{x}}-{{y}}\nb {{none}}\nc\n",
                      {{"x", "1"}, {"y", "{{x}}"}, {"none", ""}}) == "a 1-{{x}}\nc\n");
  CHECK_THROWS_AS(fill_template("{{unknown}}\n", {}), FatalError);
  CHECK_THROWS_AS(fill_template("{{x\n", {{"x", "1"}}), FatalError);
}

TEST_CASE("words of a shell") {
  CHECK(shell_word("/a-b/c_d.toml") == "/a-b/c_d.toml");
  CHECK(shell_word("") == "''");
  CHECK(shell_word("a b$c") == "'a b$c'");
  CHECK(shell_word("it's") == "'it'\\''s'");
}

TEST_CASE("a Slurm script has what [job] says and nothing else") {
  JobSettings job = small_job();
  std::string script = render_job(Batch::slurm, job, task_of());
  for (const char* line :
       {"#SBATCH --job-name=night\n", "#SBATCH --nodes=2\n", "#SBATCH --ntasks-per-node=32\n",
        "#SBATCH --time=04:00:00\n", "#SBATCH --requeue\n", "#SBATCH --open-mode=append\n",
        "#SBATCH --signal=B:USR1@180\n", "#SBATCH --output=/data/night.%j.log\n",
        "mpirun -n 64 \\\n  /opt/skyloom photometry run /data/night.toml --out /data/night.run "
        "&\n"}) {
    CHECK_THAT(script, Contains(line));
  }
  for (const char* text :
       {"{{", "#SBATCH --account", "#SBATCH --partition", "#SBATCH --qos", "#SBATCH --array",
        "#SBATCH --dependency", "#SBATCH --mem-per-cpu", "module load", "share="}) {
    CHECK_THAT(script, !Contains(text));
  }
  job.account = "p123";
  job.partition = "cpu";
  job.qos = "preempt";
  job.memory_per_rank_gb = 2.0;
  job.walltime_h = 30.5;
  job.after = "afterok:77";
  job.modules = {"gcc/12", "openmpi"};
  job.setup = {"ulimit -c 0"};
  job.directives = {"--constraint=rome"};
  job.launcher = "srun --mpi=pmix";
  job.container = "/img/sky loom.sif";
  job.container_options = {"--bind=/scratch"};
  script = render_job(Batch::slurm, job, task_of());
  for (const char* line :
       {"#SBATCH --account=p123\n", "#SBATCH --partition=cpu\n", "#SBATCH --qos=preempt\n",
        "#SBATCH --mem-per-cpu=1908M\n", "#SBATCH --time=30:30:00\n",
        "#SBATCH --dependency=afterok:77\n", "\nmodule load gcc/12 openmpi\n", "\nulimit -c 0\n",
        "#SBATCH --constraint=rome\n",
        "\nsrun --mpi=pmix \\\n  apptainer exec --bind=/scratch '/img/sky loom.sif' skyloom "
        "photometry run"}) {
    CHECK_THAT(script, Contains(line));
  }
}

TEST_CASE("members of an array take their shares into directories of their own") {
  JobSettings job = small_job();
  job.shares = 8;
  job.shares_at_once = 3;
  std::string script = render_job(Batch::slurm, job, task_of());
  CHECK_THAT(script, Contains("#SBATCH --array=1-8%3\n") &&
                         Contains("\nshare=$SLURM_ARRAY_TASK_ID\n") &&
                         Contains("--out /data/night.\"$share\"of8.run --set "
                                  "run.shard=\"$share\"/8 &\n") &&
                         Contains("night.%A_%a.log\n"));
  script = render_job(Batch::pbs, job, task_of());
  // A directive would make arrays of the successors.
  CHECK_THAT(script, !Contains("#PBS -J") && Contains("qsub -J 1-8%3 /data/night.job\n") &&
                         Contains(",SKYLOOM_MEMBER=$share\" /data/night.job\n"));
}

TEST_CASE("a PBS script") {
  JobSettings job = small_job();
  job.memory_per_rank_gb = 1.0;
  job.after = "afterok:77";
  const std::string script = render_job(Batch::pbs, job, task_of());
  for (const char* line : {"#PBS -N night\n", "#PBS -l select=2:ncpus=32:mpiprocs=32:mem=30528mb\n",
                           "#PBS -l walltime=04:00:00\n", "#PBS -r y\n", "#PBS -j oe\n",
                           "#PBS -o /data/\n", "mpirun -n 64 --hostfile \"$PBS_NODEFILE\" \\\n"}) {
    CHECK_THAT(script, Contains(line));
  }
  CHECK(submit_command(Batch::pbs, job, task_of()) == "qsub -W depend=afterok:77 /data/night.job");
  CHECK(submit_command(Batch::slurm, job, task_of()) == "sbatch /data/night.job");
}

TEST_CASE("of --set only what the run reads goes on to it") {
  JobTask task = task_of();
  task.assignments = {"run.seed=7", "job.nodes=2", "job.signal_lead_s=300", "inputs.tile_name=a b"};
  CHECK_THAT(render_job(Batch::slurm, small_job(), task),
             Contains("--out /data/night.run --set run.seed=7 --set job.signal_lead_s=300 --set "
                      "'inputs.tile_name=a b' &\n"));
}

TEST_CASE("jobs that cannot be are refused by their key") {
  JobSettings job;
  CHECK_THAT(refusal(Batch::slurm, job, task_of()), Contains("job.ranks_per_node: is not set"));
  job = small_job();
  CHECK(refusal(Batch::slurm, job, task_of("")).empty());
  CHECK_THAT(refusal(Batch::pbs, job, task_of("")), Contains("--out: missing"));
  job.qos = "x";
  CHECK_THAT(refusal(Batch::pbs, job, task_of()), Contains("job.qos"));
  job = small_job();
  job.account = "two words";
  CHECK_THAT(refusal(Batch::slurm, job, task_of()), Contains("job.account"));
  job = small_job();
  job.walltime_h = 0.1;
  CHECK_THAT(refusal(Batch::slurm, job, task_of()), Contains("job.walltime_h"));
  job = small_job();
  job.directives = {"#SBATCH --exclusive"};
  CHECK_THAT(refusal(Batch::slurm, job, task_of()), Contains("job.directives"));
  job = small_job();
  job.container_options = {"--nv"};
  CHECK_THAT(refusal(Batch::slurm, job, task_of()), Contains("job.container_options"));
  job = small_job();
  job.shares_at_once = 2;
  CHECK_THAT(refusal(Batch::slurm, job, task_of()), Contains("job.shares_at_once"));
  JobTask task = task_of();
  task.config_file = "/my data/night.toml";
  CHECK_THAT(refusal(Batch::slurm, small_job(), task), Contains("configuration file"));
}

TEST_CASE("a job has its walltime without the lead, and none when that takes half of it") {
  engine::JobSettings job;
  job.walltime_h = 1.0;
  job.signal_lead_s = 600.0;
  CHECK(engine::seconds_per_job(job) == 3000.0);
  job.signal_lead_s = 1800.0;
  CHECK_FALSE(engine::seconds_per_job(job));
}
