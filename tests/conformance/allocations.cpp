// What llama.cpp allocates, for llama_allocations.py. Compiled against the reference's sources and libraries.
//   allocations make FOLDER KIND         headers of llama.cpp's own small test models, one per architecture; the files
//                                        are sparse: no weights are needed. KIND: full, wide (a larger vocabulary), lean
//                                        (tied embeddings, no biases, fewer KV heads, more and smaller experts), or
//                                        random-N (the sizes and types of real models, by chance)
//   allocations measure [LIBRARY]        cases on standard input, one line each: number, file, GPU layers, context,
//                                        micro-batch, batch, sequences, unified, flash attention (1, 0, -1: auto), types
//                                        of K and V, full sliding windows, outputs (0: all); a line of JSON each, by
//                                        buffer. LIBRARY: a back end for GPUs.
// A child process per model: llama.cpp aborts on what it cannot build.
#define main archs_main
#include "tests/test-llama-archs.cpp"
#undef main

#include "src/llama-ext.h"
#include "src/llama-model.h"

#include <dlfcn.h>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

namespace {

void errors_only(ggml_log_level level, const char * text, void *) {
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

void in_child(const std::string & what, const std::function<bool()> & work) {
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        bool fine = false;
        try {
            fine = work();
        } catch (const std::exception & e) {
            fprintf(stderr, "%s\n", e.what());
        }
        fflush(stdout);
        _exit(fine ? 0 : 1);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    if (status) fprintf(stderr, "%s: llama.cpp cannot do it\n", what.c_str());
}

llama_model_params without_memory() {
    llama_model_params p = llama_model_default_params();
    p.no_alloc = true;
    p.load_mode = LLAMA_LOAD_MODE_NONE;
    p.use_extra_bufts = false;
    p.progress_callback = silent_model_load_progress;
    return p;
}

// ---- make ----

// Factors of NVFP4 tensors (.scale, .input_scale) are left out: files of other types have none.
bool is_factor(const std::string & name) {
    return name.size() > 6 && name.compare(name.size() - 6, 6, ".scale") == 0;
}

bool is_optional(const std::string & name) {
    return name == "output.weight" || (name.size() > 5 && name.compare(name.size() - 5, 5, ".bias") == 0);
}

std::mt19937 chance;
uint32_t one_of(std::initializer_list<uint32_t> list) { return list.begin()[chance() % list.size()]; }

ggml_type random_type(const ggml_tensor * t) {
    const std::string name = t->name;
    const auto has = [&](const char * part) { return name.find(part) != std::string::npos; };
    if (ggml_n_dims(t) < 2 || !has(".weight") || has("ssm_") || has("norm") || has("ffn_gate_inp") || has("shortconv.conv"))
        return t->type;
    const ggml_type type = (ggml_type) one_of({GGML_TYPE_Q4_K, GGML_TYPE_Q6_K, GGML_TYPE_Q8_0, GGML_TYPE_F16, GGML_TYPE_BF16,
                                               GGML_TYPE_Q5_0, GGML_TYPE_IQ4_NL, GGML_TYPE_MXFP4, GGML_TYPE_TQ2_0,
                                               GGML_TYPE_IQ3_S, GGML_TYPE_Q2_K});
    return t->ne[0] % ggml_blck_size(type) ? t->type : type;
}

void save(gguf_context * meta, const llama_model & model, const std::string & path, bool lean, bool random) {
    gguf_context_ptr out(gguf_init_empty());
    gguf_set_kv(out.get(), meta);
    for (const auto & [name, tensor] : model.tensors_by_name)
        if (!is_factor(name) && !(lean && is_optional(name)) && gguf_find_tensor(out.get(), name.c_str()) < 0)
            gguf_add_tensor(out.get(), tensor);
    for (int64_t i = 0; random && i < gguf_get_n_tensors(out.get()); i++) {
        const char * name = gguf_get_tensor_name(out.get(), i);
        gguf_set_tensor_type(out.get(), name, random_type(model.get_tensor(name)));
    }
    gguf_write_to_file(out.get(), path.c_str(), true);
    size_t end = 0;
    for (int64_t i = 0; i < gguf_get_n_tensors(out.get()); i++)
        end = std::max(end, gguf_get_tensor_offset(out.get(), i) + GGML_PAD(gguf_get_tensor_size(out.get(), i), 32));
    std::filesystem::resize_file(path, gguf_get_meta_size(out.get()) + end);
}

// Change a number that the model has already.
void change(gguf_context * meta, const std::string & key, uint32_t value) {
    const int64_t id = gguf_find_key(meta, key.c_str());
    if (id >= 0 && gguf_get_kv_type(meta, id) == GGUF_TYPE_UINT32) gguf_set_val_u32(meta, key.c_str(), value);
}

void make_lean(gguf_context * meta, const std::string & prefix) {
    change(meta, prefix + "attention.head_count_kv", 1);
    change(meta, prefix + "expert_count", 16);
    change(meta, prefix + "expert_used_count", 4);
    change(meta, prefix + "expert_feed_forward_length", 128);
}

void make_random(gguf_context * meta, const std::string & prefix) {
    const uint32_t head = one_of({64, 80, 96, 128, 256}), heads = one_of({4, 8, 12, 16, 24, 32});
    // the test models' headers hold these whether their architecture reads them or not
    for (const char * key : {"attention.clamp_kqv", "residual_scale", "embedding_scale", "logit_scale"})
        gguf_remove_key(meta, (prefix + key).c_str());
    change(meta, prefix + "embedding_length", chance() % 3 ? head * heads : 2048);
    change(meta, prefix + "attention.head_count", heads);
    change(meta, prefix + "attention.head_count_kv", heads / one_of({1, 2, 4}));
    if (gguf_find_key(meta, (prefix + "attention.key_length").c_str()) < 0) {
        gguf_set_val_u32(meta, (prefix + "attention.key_length").c_str(), head);
        gguf_set_val_u32(meta, (prefix + "attention.value_length").c_str(), head);
        change(meta, prefix + "rope.dimension_count", head);
    }
    change(meta, prefix + "vocab_size", one_of({1000, 32000, 32064, 49152, 151936}));
    change(meta, prefix + "feed_forward_length", one_of({1024, 1408, 2816, 5632, 8192}));
    if (chance() % 2) change(meta, prefix + "block_count", one_of({4, 6, 8}));
    change(meta, prefix + "attention.sliding_window", one_of({128, 512, 1024, 4096}));
    change(meta, prefix + "expert_count", one_of({8, 16, 24, 32, 64, 128}));
    change(meta, prefix + "expert_used_count", one_of({1, 2, 4, 6, 8}));
    change(meta, prefix + "expert_feed_forward_length", one_of({256, 768, 1024, 2048}));
    change(meta, prefix + "expert_shared_feed_forward_length", one_of({256, 768, 1024, 2048}));
}

bool loads(const std::string & path) { return !!llama_model_ptr(llama_model_load_from_file(path.c_str(), without_memory())); }

bool make(llm_arch arch, bool moe, const std::string & kind, const std::string & path) {
    const bool random = kind.compare(0, 7, "random-") == 0;
    gguf_context_ptr meta = get_gguf_ctx(arch, moe);
    const std::string prefix = llm_arch_name(arch) + std::string(".");
    chance.seed(std::stoul("0" + kind.substr(random ? 7 : kind.size())) * 1000 + arch * 2 + moe);
    gguf_set_val_str(meta.get(), "tokenizer.ggml.model", "none");
    gguf_remove_key(meta.get(), "tokenizer.ggml.tokens");
    gguf_remove_key(meta.get(), "tokenizer.ggml.scores");
    gguf_set_val_u32(meta.get(), (prefix + "vocab_size").c_str(), kind == "full" ? 128 : 8192);
    gguf_set_val_u32(meta.get(), "tokenizer.ggml.token_type_count", 2);
    if (random) make_random(meta.get(), prefix);
    const bool lean = random ? chance() % 2 : kind == "lean";
    if (lean && !random) make_lean(meta.get(), prefix);
    tensor_data_params unused = {1, 0.1f};
    llama_model_ptr model(llama_model_init_from_user(meta.get(), set_tensor_data, &unused, without_memory()));
    if (!model) return false;
    save(meta.get(), *model, path, lean, random);
    if (lean && !loads(path)) save(meta.get(), *model, path, false, random);
    if (!random || loads(path)) return true;
    std::filesystem::remove(path);
    return false;
}

void make_all(const std::string & folder, const std::string & kind) {
    for (const llm_arch & arch : llm_arch_all())
        for (bool moe : {false, true}) {
            if (arch == LLM_ARCH_UNKNOWN || (moe ? !moe_implemented(arch) : moe_mandatory(arch))) continue;
            const std::string path = folder + "/" + llm_arch_name(arch) + (moe ? "+experts-" : "-") + kind + ".gguf";
            in_child(path, [&] { return make(arch, moe, kind, path); });
        }
}

// ---- measure ----

struct measured_case {
    std::string number, file, type_k, type_v;
    int gpu_layers, flash;
    uint32_t ctx, ubatch, batch, seqs, unified, swa_full, outputs;
};

bool read_case(measured_case & c) {
    std::string line;
    if (!std::getline(std::cin, line)) return false;
    return !!(std::istringstream(line) >> c.number >> c.file >> c.gpu_layers >> c.ctx >> c.ubatch >> c.batch >> c.seqs >>
              c.unified >> c.flash >> c.type_k >> c.type_v >> c.swa_full >> c.outputs);
}

ggml_type type_named(const std::string & name) {
    for (int i = 0; i < GGML_TYPE_COUNT; i++)
        if (ggml_type_name((ggml_type) i) && name == ggml_type_name((ggml_type) i)) return (ggml_type) i;
    throw std::runtime_error(name + ": no such type");
}

bool measure(const measured_case & c) {
    llama_model_params with = without_memory();
    with.n_gpu_layers = c.gpu_layers;
    llama_model_ptr model(llama_model_load_from_file(c.file.c_str(), with));
    if (!model) return false;
    llama_context_params p = llama_context_default_params();
    p.n_ctx = c.ctx, p.n_ubatch = c.ubatch, p.n_batch = c.batch, p.n_seq_max = c.seqs;
    p.kv_unified = c.unified, p.swa_full = c.swa_full, p.n_outputs_max = c.outputs;
    p.flash_attn_type = (llama_flash_attn_type) c.flash;
    p.type_k = type_named(c.type_k), p.type_v = type_named(c.type_v);
    llama_context_ptr context(llama_init_from_model(model.get(), p));
    if (!context) return false;
    std::map<std::string, llama_memory_breakdown_data> sums;
    for (const auto & [type, bytes] : llama_get_memory_breakdown(context.get())) {
        llama_memory_breakdown_data & sum = sums[ggml_backend_buft_name(type)];
        sum.model += bytes.model, sum.context += bytes.context, sum.compute += bytes.compute;
    }
    printf("%s {", c.number.c_str());
    for (const auto & [name, sum] : sums)
        printf("%s\"%s\": {\"weights\": %zu, \"kv_cache\": %zu, \"compute\": %zu}", name == sums.begin()->first ? "" : ", ",
               name.c_str(), sum.model, sum.context, sum.compute);
    printf("}\n");
    return true;
}

void add_gpus(const char * library) {
    void * handle = dlopen(library, RTLD_LAZY);
    if (!handle) throw std::runtime_error(dlerror());
    ggml_backend_register(reinterpret_cast<ggml_backend_reg_t (*)()>(dlsym(handle, "ggml_backend_cuda_reg"))());
}

} // namespace

int main(int argc, char ** argv) {
    llama_log_set(errors_only, nullptr);
    if (argc == 3 && !strcmp(argv[1], "measure")) add_gpus(argv[2]);
    llama_backend_init();
    measured_case c;
    if (argc == 4 && !strcmp(argv[1], "make"))
        make_all(argv[2], argv[3]);
    else
        while (read_case(c)) in_child(c.file, [&] { return measure(c); });
    return 0;
}
