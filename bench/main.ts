import { parseArgs } from 'node:util';
import { burst } from './burst.ts';
import { exec } from './exec.ts';
import { exitEvent } from './exit-event.ts';
import { idleMemory } from './idle-memory.ts';
import { machine } from './machine.ts';
import { asText, type Report, summarize } from './report.ts';
import { restart } from './restart.ts';
import { rpc } from './rpc.ts';
import { run } from './run.ts';
import { type Benchmark, withSides } from './sides.ts';

const benchmarks: readonly Benchmark[] = [run, burst, exec, restart, exitEvent, ...rpc, idleMemory];

const USAGE = `npm run bench -- [NAME …] [--pairs N] [--json]

Our daemon beside a real containerd, alternating, with the same client. Without a NAME, all of them.

${benchmarks.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`).join('\n')}

  --pairs N    measure each side N times instead of the benchmark's own number
  --json       print one JSON document
`;

const main = async (): Promise<number> => {
  const { values, positionals } = parseArgs({
    options: { pairs: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
  });
  const unknown = positionals.find((name) => !benchmarks.some((benchmark) => benchmark.name === name));
  const pairs = values.pairs === undefined ? undefined : Number(values.pairs);
  if (values.help === true || unknown !== undefined || (pairs !== undefined && !(pairs >= 1))) {
    console.error(unknown === undefined ? USAGE : `no benchmark "${unknown}"\n\n${USAGE}`);
    return values.help === true ? 0 : 2;
  }
  const chosen = benchmarks.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const facts = machine();
  if (values.json !== true) console.log(`${facts.map(([name, value]) => `${name}: ${value}`).join('\n')}\n`);
  const reports: Report[] = [];
  for (const benchmark of chosen) {
    // Daemons of its own for each: one benchmark's rows and logs are no burden to the next.
    const report = await withSides(async (sides) => {
      const count = pairs ?? benchmark.pairs;
      return summarize(benchmark, count, await benchmark.measure(sides, count));
    });
    reports.push(report);
    if (values.json !== true) console.log(`${asText(report)}\n`);
  }
  if (values.json === true)
    console.log(JSON.stringify({ machine: Object.fromEntries(facts), benchmarks: reports }, undefined, 2));
  return 0;
};

process.exitCode = await main();
