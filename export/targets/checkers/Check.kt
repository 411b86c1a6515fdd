// Does your pipeline answer as the model does?   check(context.assets) { bitmap -> classifier.probabilities(bitmap) }
// Put the folder golden/ into assets/. The function gets each image at model size and returns a probability for each class.
import android.content.res.AssetManager
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import org.json.JSONObject

fun check(assets: AssetManager, model: String = "model.tflite", predict: (Bitmap) -> FloatArray): Boolean {
    val golden = JSONObject(assets.open("golden/expected.json").bufferedReader().use { it.readText() })
    val wanted = golden.getJSONObject("artefacts").getJSONObject(model)
    val images = golden.getJSONArray("images")
    val limit = golden.optDouble("reject_below", 0.0)
    var worst = 0.0
    for (number in 0 until images.length()) {
        val file = images.getJSONObject(number).getString("file")
        val expected = wanted.getJSONArray("probabilities").getJSONArray(number)
        val got = predict(assets.open("golden/$file").use { BitmapFactory.decodeStream(it) })
        if (got.none { it >= limit }) println("$file: unsure")
        for (label in 0 until expected.length()) worst = maxOf(worst, Math.abs(got[label] - expected.getDouble(label)))
    }
    println("$model: largest difference $worst, ${wanted.getDouble("tolerance")} is allowed")
    return worst <= wanted.getDouble("tolerance")
}
