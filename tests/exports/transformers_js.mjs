// What transformers.js makes of an export: the prompt it renders, and its greedy answers in each of its dtypes.
// node transformers_js.mjs NODE_MODULES MODELS NAME CHAT_JSON DTYPES -> one JSON object
import path from "node:path";
import { pathToFileURL } from "node:url";

const [, , modules, models, name, chat, dtypes] = process.argv;
const entry = path.join(modules, "@huggingface/transformers/dist/transformers.node.mjs");
const { AutoModelForCausalLM, AutoTokenizer, env } = await import(pathToFileURL(entry).href);
env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = models;

const tokenizer = await AutoTokenizer.from_pretrained(name);
const prompt = tokenizer.apply_chat_template(JSON.parse(chat), { tokenize: false, add_generation_prompt: true });
const inputs = tokenizer(prompt, { add_special_tokens: false });
const found = { prompt, ids: inputs.input_ids.tolist()[0].map(Number), answers: {} };
for (const dtype of dtypes.split(",")) {
  const model = await AutoModelForCausalLM.from_pretrained(name, { dtype });
  const output = await model.generate({ ...inputs, max_new_tokens: 12, do_sample: false });
  found.answers[dtype] = output.tolist()[0].slice(found.ids.length).map(Number);
}
console.log(JSON.stringify(found));
